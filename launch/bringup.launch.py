"""Start a policy and the model manager on a robot."""

from launch.actions import DeclareLaunchArgument, GroupAction, SetEnvironmentVariable
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node, PushRosNamespace, SetParameter
from launch_ros.substitutions import FindPackageShare

from launch import LaunchDescription

CONFIG = PathJoinSubstitution([FindPackageShare('sara_ros'), 'config'])
ARGUMENTS = [
    DeclareLaunchArgument(
        'params_file',
        default_value=PathJoinSubstitution([CONFIG, 'policy.yaml']),
        description='Parameters of the policy node.',
    ),
    DeclareLaunchArgument(
        'manager_params_file',
        default_value=PathJoinSubstitution([CONFIG, 'model_manager.yaml']),
        description='Parameters of the model manager: swaps, thresholds, exports.',
    ),
    DeclareLaunchArgument(
        'namespace', default_value='', description='Namespace of all nodes; empty for none.'
    ),
    DeclareLaunchArgument(
        'use_sim_time', default_value='false', description='Take the time from /clock.'
    ),
    DeclareLaunchArgument(
        'autostart', default_value='true', description='Configure and activate by themselves.'
    ),
    DeclareLaunchArgument(
        'log_level', default_value='info', description='debug, info, warn, error or fatal.'
    ),
    DeclareLaunchArgument(
        'model', default_value='rt2-tabletop', description='Folder below models/ to serve.'
    ),
    DeclareLaunchArgument(
        'attention_backend',
        default_value='',
        description="Attention backend; empty for the model's own.",
    ),
    DeclareLaunchArgument(
        'workspace',
        default_value='',
        description="Box of the end effector, 'x y z x y z' in m; empty for none.",
    ),
    DeclareLaunchArgument(
        'device', default_value='cpu', description='Torch device: cpu, cuda:0, ...'
    ),
]


def generate_launch_description():
    """Return the nodes and their arguments."""
    log_arguments = ['--log-level', LaunchConfiguration('log_level')]
    autostart = {'autostart': LaunchConfiguration('autostart')}
    policy_parameters = {
        name: LaunchConfiguration(name)
        for name in ('model', 'attention_backend', 'device', 'workspace')
    }
    return LaunchDescription(
        [
            *ARGUMENTS,
            # Camera frames do not fit Fast DDS's default shared-memory segment.
            SetEnvironmentVariable(
                'FASTRTPS_DEFAULT_PROFILES_FILE', PathJoinSubstitution([CONFIG, 'fastdds.xml'])
            ),
            GroupAction(
                [
                    PushRosNamespace(LaunchConfiguration('namespace')),
                    SetParameter('use_sim_time', LaunchConfiguration('use_sim_time')),
                    Node(
                        package='sara_ros',
                        executable='policy',
                        name='policy',
                        parameters=[
                            LaunchConfiguration('params_file'),
                            policy_parameters,
                            autostart,
                        ],
                        ros_arguments=log_arguments,
                        output='screen',
                        respawn=True,
                        respawn_delay=2.0,
                    ),
                    Node(
                        package='sara_ros',
                        executable='model_manager',
                        name='model_manager',
                        parameters=[
                            LaunchConfiguration('manager_params_file'),
                            autostart,
                        ],
                        ros_arguments=log_arguments,
                        output='screen',
                        respawn=True,
                        respawn_delay=2.0,
                    ),
                ]
            ),
        ]
    )
