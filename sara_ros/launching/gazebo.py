"""Gazebo as launch files start it, with the arm, its controllers and the bridge to ROS."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sara_ros.core.resources import package_folder
from sara_ros.launching.arguments import Argument, file, switch
from sara_ros.launching.programs import Program

ARM: Final = 'sara_arm'
CONTROLLERS: Final = ('joint_state_broadcaster', 'arm_controller', 'gripper_controller')
MOVING: Final = '/world/tabletop/set_pose@ros_gz_interfaces/srv/SetEntityPose'


@dataclass(frozen=True, slots=True)
class GazeboWorld(Program):
    """
    The tabletop of ``config/gazebo`` in Gazebo, and what other packages add to it.

    These are ``ros_gz_sim``, ``ros_gz_bridge``, ``gz_ros2_control``, ``controller_manager``,
    ``robot_state_publisher`` and ``xacro``.
    """

    def node(self, values: Mapping[str, Any]) -> Any:
        """Return all of it as one launch action, given the values of all arguments."""
        from launch.actions import GroupAction

        namespace = values['namespace'] or ''
        return GroupAction([_simulation(values), _bridge(namespace), *_arm(namespace)])


GAZEBO: Final = GazeboWorld('gazebo', (
    Argument('headless', 'false', 'Run Gazebo without its window.', switch),
    Argument('world', '', 'World file; empty: the tabletop.', file),
), usual=())  # fmt: skip
GAZEBO_SCENE: Final = Program('gazebo_scene', usual=('use_sim_time',))
ARM_DRIVER: Final = Program('arm_driver', usual=('use_sim_time',))


def _path(name: str) -> str:
    return str(package_folder('config') / 'gazebo' / name)


def _simulation(values: Mapping[str, Any]) -> Any:
    from launch.actions import IncludeLaunchDescription
    from launch.substitutions import PathJoinSubstitution
    from launch_ros.substitutions import FindPackageShare

    window = '-s --headless-rendering ' if values['headless'] else ''
    arguments = {
        'gz_args': f'-r {window}{values["world"] or _path("tabletop.sdf")}',
        'on_exit_shutdown': 'true',
    }
    return IncludeLaunchDescription(
        PathJoinSubstitution([FindPackageShare('ros_gz_sim'), 'launch', 'gz_sim.launch.py']),
        launch_arguments=arguments.items(),
    )


def _bridge(namespace: str) -> Any:
    from launch_ros.actions import Node

    return Node(
        package='ros_gz_bridge',
        executable='parameter_bridge',
        name='gazebo_bridge',
        namespace=namespace,
        parameters=[{'config_file': _path('bridge.yaml')}],
        arguments=[MOVING],
        output='screen',
    )


def _arm(namespace: str) -> list[Any]:
    """Return what puts the arm into the world; its controllers start once it is there."""
    from launch.actions import RegisterEventHandler
    from launch.event_handlers import OnProcessExit
    from launch.substitutions import Command, FindExecutable
    from launch_ros.actions import Node
    from launch_ros.parameter_descriptions import ParameterValue

    controllers = _path('controllers.yaml')
    urdf = Command([
        FindExecutable(name='xacro'), ' ', _path('arm.urdf.xacro'),
        f' controllers:={controllers} namespace:={namespace}',
    ])  # fmt: skip
    publisher = Node(
        package='robot_state_publisher',
        executable='robot_state_publisher',
        namespace=namespace,
        parameters=[
            {'robot_description': ParameterValue(urdf, value_type=str), 'use_sim_time': True}
        ],
        output='screen',
    )
    create = Node(
        package='ros_gz_sim',
        executable='create',
        namespace=namespace,
        arguments=['-topic', 'robot_description', '-name', ARM],
        output='screen',
    )
    spawner = Node(
        package='controller_manager',
        executable='spawner',
        namespace=namespace,
        arguments=[*CONTROLLERS, '--param-file', controllers],
        output='screen',
    )
    started = RegisterEventHandler(OnProcessExit(target_action=create, on_exit=[spawner]))
    return [publisher, create, started]
