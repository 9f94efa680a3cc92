"""Serve transformer robot policies on the robot: ROS 2 topics in, end-effector actions out."""

__version__ = '0.1.0'
