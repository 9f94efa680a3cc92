"""What a policy needs, from the messages that carry it."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from sara_ros.core import ObservationError, ObservationSpec, PolicySpec
from sara_ros.core.observation import Array
from sara_ros.decoding.images import decode_compressed, decode_image
from sara_ros.decoding.points import decode_points
from sara_ros.decoding.stamps import NS, to_ns
from sara_ros.decoding.states import decode_joint_positions, decode_objects, decode_pose
from sara_ros.decoding.transforms import Transforms, transform_points

FUTURE_LIMIT_NS: Final = NS // 10

MESSAGE_TYPES: Final = {
    'image': ('sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage'),
    'points': ('sensor_msgs/msg/PointCloud2',),
    'joint_positions': ('sensor_msgs/msg/JointState',),
    'pose': ('geometry_msgs/msg/PoseStamped',),
    'object_poses': ('sara_ros_msgs/msg/ObjectStates',),
}
"""Message types each kind of need can be read from."""


def default_topic(need: ObservationSpec, spec: PolicySpec) -> str:
    """Return the relative topic a need is read from unless somebody names another one."""
    if need.kind == 'image':
        first = next(each.name for each in spec.observations if each.kind == 'image')
        return 'image_raw' if need.name == first else f'{need.name}/image_raw'
    fixed = {'points': 'points', 'joint_positions': 'joint_states', 'object_poses': 'objects'}
    return fixed.get(need.kind, need.name)


def check_stamp(need: ObservationSpec, stamp_ns: int, now_ns: int) -> None:
    """
    Check that a message stamped ``stamp_ns`` may be used at ``now_ns``, both in ROS time.

    :raises ObservationError: for no stamp, one that is too old, and one from the future.
    """
    if stamp_ns == 0:
        raise ObservationError('zero_stamp', 'message has no stamp; set header.stamp')
    age_ns = now_ns - stamp_ns
    if age_ns > need.max_age_sec * NS:
        raise ObservationError(
            'late',
            f'message is {age_ns / NS:.3f} s old, the limit is {need.max_age_sec:g} s; check '
            'that both machines keep the same time, and use_sim_time when a bag is played',
        )
    if -age_ns > FUTURE_LIMIT_NS:
        raise ObservationError(
            'future',
            f'message is stamped {-age_ns / NS:.3f} s ahead of this node; check that both '
            'machines keep the same time, and use_sim_time',
        )


def decode(need: ObservationSpec, message: Any, transforms: Transforms) -> Array:
    """
    Return the value of ``need`` in ``message``.

    :raises ObservationError: when it cannot be had from there.
    """
    if need.kind == 'image':
        # Only compressed images name a format.
        compressed = hasattr(message, 'format')
        return decode_compressed(message) if compressed else decode_image(message)
    if need.kind == 'joint_positions':
        return decode_joint_positions(message, need.names)
    if need.kind == 'object_poses':
        return decode_objects(message, need.names)
    header = message.header
    matrix = transforms.lookup(need.frame, header.frame_id, to_ns(header.stamp))
    if need.kind == 'points':
        points = decode_points(message, need.names)
        return points if matrix is None else transform_points(matrix, points)
    if matrix is not None:
        raise ObservationError(
            'frame', f"pose is in '{header.frame_id}'; publish it in '{need.frame}'"
        )
    return np.asarray(decode_pose(message))
