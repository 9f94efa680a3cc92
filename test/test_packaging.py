"""The files that describe the package agree with each other and with what is there."""

from __future__ import annotations

import importlib.util
from pathlib import Path
import re
import runpy
from typing import Any
from unittest import mock
from xml.etree import ElementTree

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
MESSAGES = ROOT / 'sara_ros_msgs'
INTERFACES = sorted(p for kind in ('msg', 'srv', 'action') for p in MESSAGES.glob(f'{kind}/*'))


@pytest.fixture(scope='module')
def setup_arguments() -> dict[str, Any]:
    with pytest.MonkeyPatch.context() as patch, mock.patch('setuptools.setup') as setup:
        patch.chdir(ROOT)
        runpy.run_path('setup.py')
    return setup.call_args.kwargs


def manifest(folder: Path) -> ElementTree.Element:
    return ElementTree.parse(folder / 'package.xml').getroot()


def requirements(name: str) -> list[str]:
    lines = (ROOT / 'requirements' / name).read_text().splitlines()
    return [line for line in lines if line and not line.startswith('#')]


def normal(name: str) -> str:
    return re.sub(r'\[.*\]', '', name).lower().replace('_', '-').strip()


def test_versions_agree(setup_arguments):
    versions = {manifest(folder).findtext('version') for folder in (ROOT, MESSAGES)}
    assert versions == {setup_arguments['version']}
    assert setup_arguments['version'] in (ROOT / 'CHANGELOG.rst').read_text()


def test_names_agree(setup_arguments):
    assert manifest(ROOT).findtext('name') == setup_arguments['name'] == 'sara_ros'
    assert manifest(MESSAGES).findtext('name') == 'sara_ros_msgs'
    assert (ROOT / 'resource' / 'sara_ros').is_file()


def test_entry_points_exist(setup_arguments):
    scripts = setup_arguments['entry_points']['console_scripts']
    targets = dict(line.split(' = ') for line in scripts)
    assert set(targets) == {
        'sara-ros', 'policy', 'model_manager', 'simulator', 'player', 'bag_player',
        'arm_driver', 'joint_driver', 'twist_repeater', 'gripper', 'gazebo_scene',
    }  # fmt: skip
    for target in targets.values():
        module, function = target.split(':')
        spec = importlib.util.find_spec(module)
        assert spec is not None, f'{module} is missing'
        assert f'def {function}(' in Path(spec.origin).read_text(), target


def test_every_node_that_is_documented_can_be_started(setup_arguments):
    """There was no executable of the player."""
    names = re.findall(
        r'^## `(\w+)`$', (ROOT / 'docs/reference/nodes.md').read_text(), re.MULTILINE
    )
    scripts = setup_arguments['entry_points']['console_scripts']
    assert 'policy' in names
    assert set(names) <= {line.split(' = ')[0] for line in scripts}


def test_everything_a_node_reads_is_installed(setup_arguments):
    installed = {name for _, names in setup_arguments['data_files'] for name in names}
    for folder in ('config', 'launch', 'models'):
        files = {str(p.relative_to(ROOT)) for p in (ROOT / folder).rglob('*') if p.is_file()}
        assert {f for f in files if '__pycache__' not in f} <= installed
    assert {'package.xml', 'resource/sara_ros'} <= installed


@pytest.mark.parametrize('path', sorted(ROOT.glob('config/**/*.yaml')), ids=lambda p: p.name)
def test_parameter_files_parse(path):
    # A bridge is configured by a list.
    kind = list if path.name == 'bridge.yaml' else dict
    assert isinstance(yaml.safe_load(path.read_text()), kind)


def test_every_interface_is_built():
    listed = re.findall(
        r'"((?:msg|srv|action)/\w+\.\w+)"', (MESSAGES / 'CMakeLists.txt').read_text()
    )
    assert sorted(listed) == [str(p.relative_to(MESSAGES)) for p in INTERFACES]


@pytest.mark.parametrize('path', INTERFACES, ids=lambda p: p.name)
def test_every_field_is_explained(path):
    fields = [line for line in path.read_text().splitlines() if re.match(r'[A-Za-z]', line)]
    assert all('#' in field for field in fields)


@pytest.mark.parametrize('name', ['ros.txt', 'runtime.txt', 'dev.txt'])
def test_direct_requirements_are_pinned_and_locked(name):
    locked = {line.split(' ;')[0].lower() for line in requirements('constraints.txt')}
    for line in requirements(name):
        package, pin = line.split(';')[0].split('==')
        assert f'{normal(package)}=={pin.strip()}' in locked, line


def test_the_extra_for_clusters_is_what_its_file_pins(setup_arguments):
    assert setup_arguments['extras_require']['ray'] == requirements('ray.txt')
    assert all('==' in line for line in requirements('ray.txt'))


def test_no_index_is_named():
    """A clone must install from whatever index its owner uses."""
    for path in (ROOT / 'requirements').iterdir():
        assert not re.search(r'(?i)index-url|find-links|https?:', path.read_text()), path


def test_a_workspace_installs_what_rosdep_does_not():
    """Of the pins, those of the Python of Jazzy's Ubuntu."""
    text = (ROOT / 'CONTRIBUTING.md').read_text()
    named = set(re.findall(r'(?<= )[\w-]+==[\w.]+', text))
    pins = {line.split(';')[0].strip() for line in requirements('runtime.txt')}
    assert named <= pins
    keys = set(re.findall(r'>python3-(\w+)<', (ROOT / 'package.xml').read_text()))
    by_rosdep = {'pillow': 'pil', 'opencv-python-headless': 'opencv', 'PyYAML': 'yaml'}
    left = {pin.split('==')[0] for pin in pins} - {pin.split('==')[0] for pin in named}
    assert {by_rosdep.get(name, name) for name in left} <= keys


def test_table_of_dependencies_is_complete():
    table = (ROOT / 'CONTRIBUTING.md').read_text()
    names = {line.split(';')[0].split('==')[0] for line in requirements('runtime.txt')}
    assert {name for name in names if f'`{name}`' not in table} == set()
