"""Play a bag in real time to a policy, as it was recorded."""

from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.substitutions import FindPackageShare

from launch import LaunchDescription

SHARE = FindPackageShare('sara_ros')


def generate_launch_description():
    """Return the bag player and bringup.launch.py."""
    return LaunchDescription(
        [
            DeclareLaunchArgument('bag', description='rosbag2, ROS 1 bag or LeRobot folder.'),
            DeclareLaunchArgument(
                'episode', default_value='-1', description='Of a LeRobot folder; -1 for a bag.'
            ),
            DeclareLaunchArgument(
                'autoplay',
                default_value='true',
                description='Play once somebody listens; else call bag_player/play.',
            ),
            IncludeLaunchDescription(PathJoinSubstitution([SHARE, 'launch', 'bringup.launch.py'])),
            Node(
                package='sara_ros',
                executable='bag_player',
                name='bag_player',
                namespace=LaunchConfiguration('namespace'),
                parameters=[
                    PathJoinSubstitution([SHARE, 'config', 'bag_player.yaml']),
                    {name: LaunchConfiguration(name) for name in ('bag', 'episode', 'autoplay')},
                ],
                output='screen',
            ),
        ]
    )
