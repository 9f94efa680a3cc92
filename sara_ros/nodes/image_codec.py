"""RGB arrays to image messages."""

from __future__ import annotations

from array import array

import numpy as np
from sensor_msgs.msg import CameraInfo, Image

from sara_ros.decoding.images import Rgb
from sara_ros.nodes.ros_time import to_time


def encode_image(rgb: Rgb, *, stamp_ns: int, frame_id: str) -> Image:
    """Return an ``rgb8`` message; the pixels are copied once."""
    height, width, _ = rgb.shape
    message = Image(height=height, width=width, encoding='rgb8', step=width * 3)
    message.header.stamp = to_time(stamp_ns)
    message.header.frame_id = frame_id
    # array('B') is the field's own type; any other sequence is checked element by element.
    message.data = array('B')
    message.data.frombytes(np.ascontiguousarray(rgb).data)
    return message


def camera_info(
    *, width: int, height: int, intrinsics: tuple[float, float, float, float],
    stamp_ns: int, frame_id: str,
) -> CameraInfo:  # fmt: skip
    """Describe a pinhole camera without distortion; ``intrinsics`` is fx, fy, cx, cy in pixels."""
    fx, fy, cx, cy = intrinsics
    message = CameraInfo(width=width, height=height, distortion_model='plumb_bob', d=[0.0] * 5)
    message.header.stamp = to_time(stamp_ns)
    message.header.frame_id = frame_id
    message.k = [fx, 0.0, cx, 0.0, fy, cy, 0.0, 0.0, 1.0]
    message.r = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
    message.p = [fx, 0.0, cx, 0.0, 0.0, fy, cy, 0.0, 0.0, 0.0, 1.0, 0.0]
    return message
