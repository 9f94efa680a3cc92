"""Start the MuJoCo tabletop with a policy that moves its arm."""

from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.substitutions import FindPackageShare

from launch import LaunchDescription

SHARE = FindPackageShare('sara_ros')
TABLETOP_BOX = '0.22 -0.34 -0.04 0.72 0.34 0.40'


def generate_launch_description():
    """Return the simulator and bringup.launch.py."""
    return LaunchDescription(
        [
            DeclareLaunchArgument('seed', default_value='0', description='Layout of the scene.'),
            IncludeLaunchDescription(
                PathJoinSubstitution([SHARE, 'launch', 'bringup.launch.py']),
                launch_arguments={'workspace': TABLETOP_BOX}.items(),
            ),
            Node(
                package='sara_ros',
                executable='simulator',
                name='simulator',
                namespace=LaunchConfiguration('namespace'),
                parameters=[
                    PathJoinSubstitution([SHARE, 'config', 'simulator.yaml']),
                    {'seed': LaunchConfiguration('seed')},
                ],
                output='screen',
            ),
        ]
    )
