"""The launch file of Gazebo by the real ``launch``, with stubs for all that it starts."""

import os
import signal

import pytest
import yaml

from sara_ros.core.resources import package_folder
from sara_ros.launching import TABLETOP_BOX
from sara_ros.launching.gazebo import CONTROLLERS, MOVING

pytest.importorskip('launch.actions', reason='launch comes with a ROS installation')
pytest.importorskip('launch_ros.actions', reason='launch_ros comes with a ROS installation')
pytest.importorskip('rclpy')

from nodes.host import until

STUB = """#!/bin/sh
name=$(basename "$0")
params() { while [ $# -gt 1 ]; do [ "$1" = --params-file ] && echo --- && cat "$2"; shift; done; }
[ $name = create ] && sleep 0.3
params "$@" > $STUBS_TELL/$name.yaml
printf '%s\\n' "$@" > $STUBS_TELL/$name.part
mv $STUBS_TELL/$name.part $STUBS_TELL/$name
case $name in xacro) echo "<robot name='$*'/>";; create | spawner) ;; *) exec sleep 60;; esac
"""
SIMULATION = """
from launch import LaunchDescription
from launch.actions import ExecuteProcess
from launch.substitutions import LaunchConfiguration
def generate_launch_description():
    told = [LaunchConfiguration(each) for each in ('gz_args', 'on_exit_shutdown')]
    return LaunchDescription([ExecuteProcess(cmd=['gz', *told])])
"""
OURS = ('policy', 'model_manager', 'arm_driver', 'gazebo_scene')
NODES = {
    'ros_gz_sim': ('create',),
    'ros_gz_bridge': ('parameter_bridge',),
    'robot_state_publisher': ('robot_state_publisher',),
    'controller_manager': ('spawner',),
    'sara_ros': OURS,
}
COMMANDS = ('gz', 'xacro')
NAMES = {*COMMANDS, *(name for names in NODES.values() for name in names)}


@pytest.fixture
def stubs(tmp_path, monkeypatch):
    """Put stubs in the place of all programs; return where they write what they are told."""
    index = tmp_path / 'share' / 'ament_index' / 'resource_index' / 'packages'
    simulation = tmp_path / 'share' / 'ros_gz_sim' / 'launch'
    told = tmp_path / 'told'
    for folder in (index, simulation, told):
        folder.mkdir(parents=True)
    (simulation / 'gz_sim.launch.py').write_text(SIMULATION)
    programs = [tmp_path / 'bin' / name for name in COMMANDS]
    for package, names in NODES.items():
        (index / package).touch()
        programs += [tmp_path / 'lib' / package / name for name in names]
    for path in programs:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(STUB)
        path.chmod(0o755)
    monkeypatch.setenv('AMENT_PREFIX_PATH', str(tmp_path), prepend=os.pathsep)
    monkeypatch.setenv('PATH', str(tmp_path / 'bin'), prepend=os.pathsep)
    monkeypatch.setenv('STUBS_TELL', str(told))
    return told


def test_every_program_is_told_what_to_do(stubs, run_launch):
    """Order, namespace and parameters; nothing but these programs is started."""
    arguments = ('namespace:=left', 'headless:=true', 'model:=scripted_expert')
    process = run_launch('gazebo.launch.py', *arguments)
    until(lambda: all((stubs / name).exists() for name in NAMES), 'the programs')
    os.killpg(process.pid, signal.SIGINT)
    assert 'Traceback' not in process.communicate(timeout=60)[0]
    assert {path.name for path in stubs.iterdir() if not path.suffix} == NAMES

    told = {name: (stubs / name).read_text().splitlines() for name in NAMES}
    folder = package_folder('config') / 'gazebo'
    assert told['gz'] == [f'-r -s --headless-rendering {folder}/tabletop.sdf', 'true']
    assert told['xacro'] == [
        f'{folder}/arm.urdf.xacro', f'controllers:={folder}/controllers.yaml', 'namespace:=left'
    ]  # fmt: skip
    assert MOVING in told['parameter_bridge']
    assert told['spawner'][: len(CONTROLLERS)] == list(CONTROLLERS)
    assert (stubs / 'create').stat().st_mtime_ns < (stubs / 'spawner').stat().st_mtime_ns
    assert {name for name in NAMES if '__ns:=/left' in told[name]} == NAMES - {*COMMANDS}

    given = {name: given_parameters(stubs / f'{name}.yaml') for name in NAMES}
    assert given['parameter_bridge']['config_file'] == f'{folder}/bridge.yaml'
    assert 'namespace:=left' in given['robot_state_publisher']['robot_description']
    assert given['policy']['model'] == 'scripted_expert'
    assert given['policy']['workspace'] == TABLETOP_BOX
    assert given['policy']['autostart'] is True
    assert given['arm_driver']['gripper_joints'] == ['finger_joint', 'finger_joint_mimic']
    assert {name: given[name].get('use_sim_time') for name in OURS} == dict.fromkeys(OURS, True)


def given_parameters(path):
    """Return the parameters in the files that a node is given, later ones over earlier ones."""
    merged = {}
    for each in yaml.safe_load_all(path.read_text()):
        for nodes in (each or {}).values():
            merged |= nodes['ros__parameters']
    return merged
