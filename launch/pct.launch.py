"""Start the PCT variant: point clouds and an instruction to end-effector actions."""

from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.substitutions import PathJoinSubstitution
from launch_ros.substitutions import FindPackageShare

from launch import LaunchDescription


def generate_launch_description():
    """Return bringup.launch.py with this model as the default."""
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                'model', default_value='pct-tabletop', description='Folder below models/ to serve.'
            ),
            IncludeLaunchDescription(
                PathJoinSubstitution([FindPackageShare('sara_ros'), 'launch', 'bringup.launch.py'])
            ),
        ]
    )
