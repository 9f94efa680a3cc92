"""Arrays of points to PointCloud2 messages."""

from __future__ import annotations

from array import array

import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import PointCloud2, PointField

from sara_ros.decoding.points import Points
from sara_ros.nodes.ros_time import to_time


def encode_points(
    positions: Points, colors: NDArray[np.uint8], *, stamp_ns: int, frame_id: str
) -> PointCloud2:
    """
    Return a cloud with fields x, y, z, rgb, as RViz and PCL colour it.

    :param positions: ``(N, 3)`` or, for an organised cloud, ``(H, W, 3)``, m.
    :param colors: uint8 RGB of the same shape.
    """
    shape = positions.shape[:-1]
    height, width = shape if len(shape) == 2 else (1, shape[0])
    records = np.empty((height, width, 4), np.float32)
    records[..., :3] = positions.reshape(height, width, 3)
    red, green, blue = (colors.reshape(-1, 3)[:, i].astype(np.uint32) for i in range(3))
    packed = (red << 16) | (green << 8) | blue
    records[..., 3] = packed.view(np.float32).reshape(height, width)
    message = PointCloud2(height=height, width=width, point_step=16, row_step=16 * width)
    message.header.stamp = to_time(stamp_ns)
    message.header.frame_id = frame_id
    message.is_dense = bool(np.isfinite(records[..., :3]).all())
    message.fields = [
        PointField(name=name, offset=4 * index, datatype=PointField.FLOAT32, count=1)
        for index, name in enumerate(('x', 'y', 'z', 'rgb'))
    ]
    message.data = array('B', records.tobytes())
    return message
