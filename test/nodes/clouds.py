"""PointCloud2 messages of every layout, built from structured arrays."""

from array import array

import numpy as np
from sensor_msgs.msg import PointCloud2, PointField

TYPES = {
    'i1': PointField.INT8, 'u1': PointField.UINT8, 'i2': PointField.INT16,
    'u2': PointField.UINT16, 'i4': PointField.INT32, 'u4': PointField.UINT32,
    'f4': PointField.FLOAT32, 'f8': PointField.FLOAT64,
}  # fmt: skip
XYZ = [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0], [10.0, 11.0, 12.0]]


def cloud(records, *, width=None, row_padding=0):
    """Return the cloud of a structured array of any byte order, stride and alignment."""
    dtype = records.dtype
    width = width or records.size
    rows = records.reshape(-1, width)
    message = PointCloud2(height=rows.shape[0], width=width, point_step=dtype.itemsize)
    message.row_step = width * dtype.itemsize + row_padding
    message.data = array('B', b''.join(row.tobytes() + b'\xee' * row_padding for row in rows))
    fields = dtype.fields or {}
    message.fields = [
        PointField(name=name, offset=offset, datatype=TYPES[kind.str[1:]], count=1)
        for name, (kind, offset, *_) in fields.items()
    ]
    message.is_bigendian = any(kind.str[0] == '>' for kind, *_ in fields.values())
    return message


def records(kind='<f4', *, extra=(), offsets=None, itemsize=None):
    """Return the points ``XYZ`` of type ``kind`` and further fields of zeros."""
    names = ['x', 'y', 'z', *(name for name, _ in extra)]
    formats = [kind] * 3 + [each for _, each in extra]
    layout = {'names': names, 'formats': formats}
    if offsets:
        layout |= {'offsets': offsets, 'itemsize': itemsize}
    points = np.zeros(len(XYZ), np.dtype(layout))
    for name, column in zip('xyz', np.array(XYZ).T, strict=True):
        points[name] = column
    return points
