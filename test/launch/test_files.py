"""The launch files without ``launch``: what they list, and who refers to them."""

from importlib import import_module
from pathlib import Path
import re
import runpy
import shlex

import pytest
from setuptools import find_packages

from sara_ros.core import ParameterError
from sara_ros.core.resources import package_folder
from sara_ros.launching import BAG_PLAYER, MODEL_MANAGER, POLICY, SIMULATOR, USUAL
from sara_ros.launching.gazebo import ARM_DRIVER, GAZEBO_SCENE

ROOT = Path(__file__).parents[2]
FILES = {path.name: runpy.run_path(str(path)) for path in sorted(ROOT.glob('launch/*.launch.py'))}
STACKS = {name: names['STACK'] for name, names in FILES.items() if 'STACK' in names}
ASKED_FOR = {
    'params_file', 'namespace', 'use_sim_time', 'autostart', 'log_level',
    'model', 'attention_backend', 'device',
}  # fmt: skip
PROGRAMS = (POLICY, MODEL_MANAGER, SIMULATOR, BAG_PLAYER, ARM_DRIVER, GAZEBO_SCENE)
TEXTS = [ROOT / 'README.md', ROOT / 'CONTRIBUTING.md', *sorted(ROOT.glob('docs/**/*.md'))]
COMMANDS = [
    (path.name, line)
    for path in TEXTS
    for line in re.findall(
        r'^.*ros2 launch sara_ros \w+\.launch\.py.*$', path.read_text('utf-8'), re.MULTILINE
    )
]


def by_name(arguments):
    """Return the arguments of a stack by their names."""
    return {each.name: each for each in arguments}


def test_every_way_to_start_has_a_file():
    ways = {'bringup', 'rt2', 'pct', 'simulation', 'replay', 'gazebo'}
    assert {f'{way}.launch.py' for way in ways} <= set(STACKS)
    assert all(names['generate_launch_description'].__doc__ for names in FILES.values())


@pytest.mark.parametrize('name', STACKS)
def test_arguments_are_the_usual_ones_and_described(name):
    arguments = STACKS[name].arguments
    assert set(by_name(arguments)) >= ASKED_FOR
    assert len(by_name(arguments)) == len(arguments)
    assert all(re.fullmatch(r'\S.{10,}\.', each.description) for each in arguments)


@pytest.mark.parametrize('name', STACKS)
def test_every_default_can_be_read(name):
    stack = STACKS[name]
    assert set(stack.defaults) <= set(by_name(stack.arguments))
    for argument in stack.arguments:
        default = stack.default(argument)
        if default is not None:
            argument.value(default)


@pytest.mark.parametrize('program', PROGRAMS, ids=lambda each: each.executable)
def test_arguments_become_parameters_that_the_node_has(program):
    pytest.importorskip('rclpy')
    module = import_module(f'sara_ros.nodes.{program.executable}')
    known = {each.name: each.default for each in module.PARAMETERS} | {'use_sim_time': False}
    texts = {bool: 'true', int: '3', str: 'text'}
    for argument in (*program.arguments, *(by_name(USUAL)[name] for name in program.usual)):
        kind = type(known[argument.name])
        assert type(argument.value(texts[kind])) is kind, argument.name


@pytest.mark.parametrize('program', PROGRAMS, ids=lambda each: each.executable)
def test_what_is_started_is_installed(program):
    assert (package_folder('config') / f'{program.executable}.yaml').is_file()
    entry = f"'{program.executable} = sara_ros.nodes.start:{program.executable}'"
    assert entry in (ROOT / 'setup.py').read_text('utf-8')
    assert 'sara_ros.launching' in find_packages(str(ROOT))


@pytest.mark.parametrize(
    ('argument', 'text', 'message'),
    [
        ('autostart', 'yes', 'launch argument autostart:=yes: choose true or false'),
        ('log_level', 'loud', 'log_level:=loud: choose one of debug, info, warn, error, fatal'),
        ('log_level', 'rcl:=loud', 'log_level:=rcl:=loud: choose one of'),
        ('params_file', '/nowhere.yaml', 'params_file:=/nowhere.yaml: there is no such file'),
        ('seed', '1.5', 'seed:=1.5: give a whole number'),
    ],
)
def test_what_cannot_be_meant_is_named(argument, text, message):
    with pytest.raises(ParameterError, match=re.escape(message)):
        by_name(STACKS['simulation.launch.py'].arguments)[argument].value(text)


def test_texts_become_values(tmp_path, monkeypatch):
    monkeypatch.setenv('HOME', str(tmp_path))
    (tmp_path / 'my.yaml').write_text('{}')
    arguments = by_name(STACKS['replay.launch.py'].arguments)
    values = {'autostart': True, 'params_file': f'{tmp_path}/my.yaml', 'log_level': 'rcl:=WARN'}
    texts = {'autostart': 'True', 'params_file': '~/my.yaml', 'log_level': 'rcl:=WARN'}
    assert {name: arguments[name].value(text) for name, text in texts.items()} == values
    assert arguments['model'].value('123') == '123'
    assert arguments['model'].value('') is None


def test_the_documents_show_how_to_launch():
    assert any(name == 'README.md' for name, _ in COMMANDS)


@pytest.mark.parametrize(('place', 'line'), COMMANDS, ids=lambda each: str(each)[:60])
def test_commands_in_the_documents_name_files_and_arguments(place, line):
    words = shlex.split(line.split('ros2 launch sara_ros ')[1].strip('`| '), comments=True)
    assert words[0] in FILES, place
    given = [word.split(':=')[0] for word in words[1:] if ':=' in word]
    if words[0] in STACKS:
        assert set(given) <= set(by_name(STACKS[words[0]].arguments)), place
