"""Quaternions ``(N, 4)`` as x, y, z, w, many at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def unit_between(start: Floats, end: Floats, share: Floats) -> Floats:
    """Return the unit quaternions at ``share`` ``(N, 1)`` of the shorter way from start to end."""
    sign = np.where((start * end).sum(axis=1, keepdims=True) < 0, -1.0, 1.0)
    mixed: Floats = (1 - share) * start + share * sign * end
    unit: Floats = mixed / np.linalg.norm(mixed, axis=1, keepdims=True)
    return unit


def rotation_between(start: Floats, end: Floats) -> Floats:
    """Return the rotation vectors ``(N, 3)`` that lead from ``start`` to ``end``, rad."""
    turn = _product(end, start * np.array([-1, -1, -1, 1]))
    turn = np.where(turn[:, 3:] < 0, -turn, turn)
    length = np.linalg.norm(turn[:, :3], axis=1, keepdims=True)
    angle = 2 * np.arctan2(length, turn[:, 3:])
    # For small angles the vector part is half the rotation vector.
    factor = np.where(length > 1e-9, angle / np.where(length > 1e-9, length, 1.0), 2.0)
    return turn[:, :3] * factor


def _product(a: Floats, b: Floats) -> Floats:
    ax, ay, az, aw = a.T
    bx, by, bz, bw = b.T
    return np.stack(
        [
            aw * bx + ax * bw + ay * bz - az * by,
            aw * by - ax * bz + ay * bw + az * bx,
            aw * bz + ax * by - ay * bx + az * bw,
            aw * bw - ax * bx - ay * by - az * bz,
        ],
        axis=1,
    )
