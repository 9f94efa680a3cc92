# Source this to work by hand in the environment of `make env`:  . scripts/env.sh
# Python needs none of it, only command-line tools such as colcon do.
_sara_ros="$(cd "$(dirname "${BASH_SOURCE[0]:-$0}")/.." && pwd)"

unset PYTHONPATH PYTHONHOME LD_LIBRARY_PATH COLCON_PREFIX_PATH RMW_IMPLEMENTATION
unset _ROS_WHEELS_BOOTSTRAP_COMPLETE
. "$_sara_ros/.venv/bin/activate"

export ROS_DISTRO=jazzy
export AMENT_PREFIX_PATH="$_sara_ros/install/sara_ros:$_sara_ros/install/sara_ros_msgs:$VIRTUAL_ENV"
export CMAKE_PREFIX_PATH="$VIRTUAL_ENV"
export FASTRTPS_DEFAULT_PROFILES_FILE="$_sara_ros/config/fastdds.xml"
unset _sara_ros
