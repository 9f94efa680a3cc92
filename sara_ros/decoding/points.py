"""PointCloud2 messages to arrays, through structured views instead of loops."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sara_ros.core import ObservationError

Points = NDArray[np.float32]

_DTYPES: Final = dict(enumerate(('i1', 'u1', 'i2', 'u2', 'i4', 'u4', 'f4', 'f8'), start=1))
"""Formats by the datatype of a PointField, INT8 to FLOAT64."""

_COLOURS: Final = ('red', 'green', 'blue')
_PACKED: Final = ('rgb', 'rgba')


@np.errstate(over='ignore')  # what is too large becomes infinity, and is left out
def decode_points(message: Any, extra: tuple[str, ...] = ()) -> Points:
    """
    Return finite points as ``(N, 3 + len(extra))`` float32: x, y, z in m, then ``extra`` fields.

    The columns ``red``, ``green``, ``blue`` are in 0..1 and come from a packed ``rgb`` or
    ``rgba`` field. Points with NaN or infinity in any column are left out.

    :raises ObservationError: for missing fields, a short buffer, or no finite point.
    """
    view = _structured(message)
    columns = [view[name] for name in _require(message, view, ('x', 'y', 'z'))]
    columns += _extra_columns(message, view, extra)
    points = np.empty((view.size, len(columns)), np.float32)
    for index, column in enumerate(columns):
        points[:, index] = column.reshape(-1)
    finite = np.isfinite(points).all(axis=1)
    if not finite.any():
        raise ObservationError(
            'no_points', f'cloud of {view.size} points has none with finite {_listed(extra)}'
        )
    return points if finite.all() else points[finite]


def _listed(extra: tuple[str, ...]) -> str:
    return ' '.join(('x', 'y', 'z', *extra))


def _structured(message: Any) -> NDArray[Any]:
    """View the buffer as ``(height, width)`` records; offsets and strides may be unaligned."""
    height, width, stride = message.height, message.width, message.point_step
    if not height * width:
        raise ObservationError('no_points', f'cloud is empty ({width}x{height})')
    needed = (height - 1) * message.row_step + width * stride
    if not stride or message.row_step < width * stride or len(message.data) < needed:
        raise ObservationError(
            'malformed',
            f'cloud of {width}x{height} with point_step {stride} and row_step '
            f'{message.row_step} needs {needed} bytes, holds {len(message.data)}',
        )
    view: NDArray[Any] = np.ndarray(
        (height, width), _dtype(message), message.data, strides=(message.row_step, stride)
    )
    return view


def _dtype(message: Any) -> np.dtype[Any]:
    order = '>' if message.is_bigendian else '<'
    known = [field for field in message.fields if field.datatype in _DTYPES and field.count <= 1]
    formats = [order + _DTYPES[field.datatype] for field in known]
    for field, text in zip(known, formats, strict=True):
        if field.offset + np.dtype(text).itemsize > message.point_step:
            raise ObservationError(
                'malformed',
                f"field '{field.name}' ends beyond point_step {message.point_step}",
            )
    try:
        return np.dtype(
            {
                'names': [field.name for field in known],
                'formats': formats,
                'offsets': [field.offset for field in known],
                'itemsize': message.point_step,
            }
        )
    except (ValueError, TypeError) as err:
        raise ObservationError('malformed', f'cloud fields cannot be read: {err}') from err


def _require(message: Any, view: NDArray[Any], names: tuple[str, ...]) -> tuple[str, ...]:
    missing = [name for name in names if name not in (view.dtype.names or ())]
    if missing:
        present = ', '.join(field.name for field in message.fields) or 'none'
        raise ObservationError(
            'missing_fields', f'cloud lacks {", ".join(missing)}; its fields are {present}'
        )
    return names


def _extra_columns(message: Any, view: NDArray[Any], extra: tuple[str, ...]) -> list[NDArray[Any]]:
    packed = next((name for name in _PACKED if name in (view.dtype.names or ())), None)
    if extra == _COLOURS and packed is not None:
        return _unpack_colours(view[packed])
    return [view[name] for name in _require(message, view, extra)]


def _unpack_colours(packed: NDArray[Any]) -> list[NDArray[Any]]:
    """Split 0x00RRGGBB, stored as uint32 or as the bits of a float32, into 0..1 columns."""
    if packed.dtype.itemsize != 4:
        raise ObservationError('malformed', f'packed colour has type {packed.dtype}; need 4 bytes')
    bits = np.ascontiguousarray(packed).view(packed.dtype.str[0] + 'u4')
    return [((bits >> shift) & 255).astype(np.float32) / 255 for shift in (16, 8, 0)]


def decode_picture(message: Any) -> NDArray[np.uint8] | None:
    """Return the colours of an organised cloud, ``(H, W, 3)``; ``None`` where there are none."""
    view = _structured(message)
    packed = next((name for name in _PACKED if name in (view.dtype.names or ())), None)
    if message.height < 2 or packed is None:
        return None
    columns = _unpack_colours(view[packed])
    picture: NDArray[np.uint8] = np.rint(np.stack(columns, axis=-1) * 255).astype(np.uint8)
    return picture
