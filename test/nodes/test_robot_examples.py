"""The parameter files for robots name what there is, with values of the right kind."""

from importlib import import_module
from pathlib import Path

import pytest
import yaml

pytest.importorskip('rclpy')

from sara_ros.core.limits import WorkspaceBox
from sara_ros.decoding.transforms import StaticTransforms

CONFIG = Path(__file__).resolve().parents[2] / 'config'
DRIVERS = ('arm_driver', 'joint_driver', 'twist_repeater', 'gripper', 'gazebo_scene')
SERVO_JAZZY = {
    'thread_priority': int, 'publish_period': float, 'max_expected_latency': float,
    'move_group_name': str, 'active_subgroup': str, 'pose_command_in_topic': str,
    'cartesian_command_in_topic': str, 'joint_command_in_topic': str, 'command_in_type': str,
    'scale.linear': float, 'scale.rotational': float, 'scale.joint': float,
    'incoming_command_timeout': float, 'apply_twist_commands_about_ee_frame': bool,
    'pose_tracking.linear_tolerance': float, 'pose_tracking.angular_tolerance': float,
    'status_topic': str, 'command_out_topic': str, 'command_out_type': str,
    'publish_joint_positions': bool, 'publish_joint_velocities': bool,
    'publish_joint_accelerations': bool, 'monitored_planning_scene_topic': str,
    'joint_topic': str, 'check_octomap_collisions': bool,
    'is_primary_planning_scene_monitor': bool, 'use_smoothing': bool,
    'smoothing_filter_plugin_name': str, 'check_collisions': bool,
    'self_collision_proximity_threshold': float, 'scene_collision_proximity_threshold': float,
    'collision_check_rate': float, 'lower_singularity_threshold': float,
    'hard_stop_singularity_threshold': float, 'leaving_singularity_threshold_multiplier': float,
    'singularity_step_scale': float, 'halt_all_joints_in_joint_mode': bool,
    'halt_all_joints_in_cartesian_mode': bool, 'joint_limit_margins': list,
    'override_velocity_scaling_factor': float,
}  # fmt: skip
"""Parameters of moveit_servo in its branch for Jazzy (config/servo_parameters.yaml)."""


def parameters(name, node='/**'):
    return yaml.safe_load((CONFIG / name).read_text(encoding='utf-8'))[node]['ros__parameters']


def flat(values, prefix=''):
    for name, value in values.items():
        if isinstance(value, dict):
            yield from flat(value, f'{prefix}{name}.')
        else:
            yield f'{prefix}{name}', value


def specs(node):
    return {each.name: each for each in import_module(f'sara_ros.nodes.{node}').PARAMETERS}


def check(values, node):
    known = specs(node)
    for name, value in values.items():
        spec = known[name]
        assert type(value) is type(spec.default), f'{node}: {name}'
        if spec.low is not None:
            assert spec.low <= value <= spec.high, f'{node}: {name}'


def test_servo_knows_every_setting():
    values = dict(flat(parameters('servo.example.yaml')['moveit_servo']))
    for name, value in values.items():
        assert type(value) is SERVO_JAZZY[name], name
    assert values['command_in_type'] == 'speed_units'
    assert parameters('servo.example.yaml')['update_period'] == values['publish_period']


def test_servo_lets_the_shipped_models_move_as_they_mean():
    """Their steps times their rate, per axis; the defaults of Servo would slow them down."""
    from sara_ros.sim.action_space import MAX_STEP_M, MAX_STEP_RAD, RATE_HZ

    scale = parameters('servo.example.yaml')['moveit_servo']['scale']
    assert scale['linear'] >= MAX_STEP_M * RATE_HZ
    assert scale['rotational'] >= MAX_STEP_RAD * RATE_HZ


@pytest.mark.parametrize('node', DRIVERS)
def test_a_file_has_all_parameters_of_its_node(node):
    values = parameters(f'{node}.yaml')
    assert set(values) == set(specs(node))
    check(values, node)


@pytest.mark.parametrize(
    'node', ['policy', 'arm_driver', 'joint_driver', 'twist_repeater', 'gripper']
)
def test_the_example_of_a_robot_fits_the_nodes(node):
    values = parameters('robot.example.yaml', f'/**/{node}')
    check(values, node)
    if 'workspace' in values:
        assert WorkspaceBox.parse(values['workspace']) is not None
    StaticTransforms(values.get('static_transforms', []))
