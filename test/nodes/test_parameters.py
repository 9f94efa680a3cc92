"""Parameters: the files agree with the code, and errors say what to change."""

import importlib

import pytest
import yaml

from sara_ros.core import ParameterError
from sara_ros.core.resources import package_folder
from sara_ros.nodes.parameters import ParameterSpec, declare, value

rclpy = pytest.importorskip('rclpy')

from rclpy.node import Node  # noqa: E402
from rclpy.parameter import Parameter  # noqa: E402

NODES = sorted(
    path.stem
    for path in package_folder('config').glob('*.yaml')
    if not path.stem.endswith('.example')
)


@pytest.mark.parametrize('name', NODES)
def test_every_file_lists_the_parameters_of_its_node(name):
    module = importlib.import_module(f'sara_ros.nodes.{name}')
    data = yaml.safe_load((package_folder('config') / f'{name}.yaml').read_text())
    values = data['/**']['ros__parameters']
    defaults = {spec.name: spec.default for spec in module.PARAMETERS}
    assert list(values) == list(defaults)
    for key, default in defaults.items():
        assert type(values[key]) is type(default), key


def test_the_nodes_of_this_package_have_files():
    assert {'policy', 'simulator', 'model_manager'} <= set(NODES)


@pytest.mark.parametrize('name', NODES)
def test_every_parameter_is_described_and_every_number_has_a_range(name):
    for spec in importlib.import_module(f'sara_ros.nodes.{name}').PARAMETERS:
        assert spec.description.endswith('.')
        if isinstance(spec.default, int | float) and not isinstance(spec.default, bool):
            assert spec.low is not None, spec.name
            assert spec.low <= spec.default <= spec.high


SPECS = (
    ParameterSpec('count', 3, 'How many.', low=0, high=5),
    ParameterSpec('share', 0.5, 'How much.', low=0.0, high=1.0),
    ParameterSpec('names', [''], 'Which.'),
    ParameterSpec('fixed', True, 'Whether.', read_only=True),
)


def declared(context, **overrides):
    values = [Parameter(name, value=each) for name, each in overrides.items()]
    node = Node('probe', context=context, parameter_overrides=values)
    try:
        declare(node, SPECS)
        declare(node, SPECS)  # what is declared stays as it is
        return {spec.name: value(node, spec.name) for spec in SPECS}
    finally:
        node.destroy_node()


def test_values_given_at_the_start_replace_the_defaults(context):
    assert declared(context) == {'count': 3, 'share': 0.5, 'names': [''], 'fixed': True}
    assert declared(context, count=5, fixed=False)['count'] == 5


@pytest.mark.parametrize(
    ('overrides', 'text'),
    [
        ({'count': 6}, "parameter 'count' of node probe: .*6.*out of range.*; How many."),
        ({'count': 1.0}, "parameter 'count' of node probe: .*'INTEGER'.*; expected int, as in 3"),
        ({'share': 1}, "parameter 'share' of node probe: .*expected float, as in 0.5"),
        ({'share': -0.1}, "parameter 'share'.*Min: 0.0, Max: 1.0"),
        ({'names': 'a'}, "parameter 'names'.*expected list"),
        ({'fixed': 'yes'}, "parameter 'fixed'.*expected bool"),
    ],
)
def test_values_that_cannot_be_used_are_named(context, overrides, text):
    with pytest.raises(ParameterError, match=text):
        declared(context, **overrides)


def test_an_empty_list_is_the_default(domain):
    """`static_transforms: []` once made every activation fail without a word."""
    context = rclpy.Context()
    rclpy.init(args=['--ros-args', '-p', 'names:=[]'], context=context, domain_id=domain)
    try:
        assert declared(context)['names'] == ['']
    finally:
        context.try_shutdown()


def test_of_a_parameter_given_twice_the_later_counts(domain):
    context = rclpy.Context()
    twice = ['--ros-args', '-p', 'count:=1', '-p', 'count:=2']
    rclpy.init(args=twice, context=context, domain_id=domain)
    try:
        assert declared(context)['count'] == 2
    finally:
        context.try_shutdown()


def test_what_nobody_declared_is_warned_of_with_the_name_that_was_meant(context, capfd):
    """ROS ignores it, and a limit with a misspelt name would not be one."""
    given = {
        'cuont': 1, 'elsewhere': 2, 'fixed': True, 'topic.front': 'a', 'topics.front': 'a',
        'qos_overrides./clock.depth': 1,
    }  # fmt: skip
    node = Node(
        'probe', context=context,
        parameter_overrides=[Parameter(name, value=each) for name, each in given.items()],
    )  # fmt: skip
    try:
        declare(node, SPECS)
        (line,) = [line for line in capfd.readouterr().err.splitlines() if 'ignores' in line]
        assert line.endswith(
            'node probe ignores parameters that it does not have: '
            "'cuont' (did you mean 'count'?), 'elsewhere', 'topic.front'"
        )
        declare(node, [ParameterSpec('topics.fronts', 'b', 'Where.')])
        later = capfd.readouterr().err
        assert "have: 'topics.front' (did you mean 'topics.fronts'?)" in later
    finally:
        node.destroy_node()


def test_nothing_is_warned_of_without_reason(context, capfd):
    declared(context, count=5, use_sim_time=False)
    assert 'ignores' not in capfd.readouterr().err
