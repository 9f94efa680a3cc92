"""Vectors to joint states, poses and object states."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from geometry_msgs.msg import Point, Pose, PoseStamped, Quaternion
from sensor_msgs.msg import JointState

from sara_ros.decoding.states import Vector
from sara_ros.nodes.ros_time import to_time
from sara_ros_msgs.msg import ObjectStates


def encode_joint_state(names: Sequence[str], positions: Vector, *, stamp_ns: int) -> JointState:
    """Return a joint state with positions only (rad or m)."""
    message = JointState(name=list(names), position=[float(value) for value in positions])
    message.header.stamp = to_time(stamp_ns)
    return message


def encode_pose(pose: Vector, *, stamp_ns: int, frame_id: str) -> PoseStamped:
    """Return x, y, z, qx, qy, qz, qw as a stamped pose."""
    message = PoseStamped(pose=_pose(pose))
    message.header.stamp = to_time(stamp_ns)
    message.header.frame_id = frame_id
    return message


def encode_objects(names: Sequence[str], poses: Vector, *, stamp_ns: int, frame_id: str) -> Any:
    """Return ``(len(names), 7)`` poses as object states."""
    message = ObjectStates(names=list(names), poses=[_pose(pose) for pose in poses])
    message.header.stamp = to_time(stamp_ns)
    message.header.frame_id = frame_id
    return message


def _pose(values: Vector) -> Pose:
    x, y, z, qx, qy, qz, qw = (float(value) for value in values)
    return Pose(position=Point(x=x, y=y, z=z), orientation=Quaternion(x=qx, y=qy, z=qz, w=qw))
