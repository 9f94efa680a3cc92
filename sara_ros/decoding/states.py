"""Joint states, poses and object states to vectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sara_ros.core import ObservationError

Vector = NDArray[np.float32]


def decode_joint_positions(message: Any, names: tuple[str, ...]) -> Vector:
    """
    Return the positions of ``names`` in that order, shape ``(len(names),)``, rad or m.

    :raises ObservationError: for a missing joint, too few positions, NaN or infinity.
    """
    if len(message.position) != len(message.name):
        raise ObservationError(
            'malformed',
            f'joint state has {len(message.name)} names and {len(message.position)} positions',
        )
    index = {name: place for place, name in enumerate(message.name)}
    positions = _select(message.position, index, names, 'joint state', 'missing_joint')
    return _finite(positions, 'joint positions')


def decode_pose(message: Any) -> Vector:
    """
    Return x, y, z (m) and a unit quaternion x, y, z, w, shape ``(7,)``.

    :raises ObservationError: for NaN, infinity or a quaternion of no length.
    """
    return _finite(_pose_vector(message.pose), 'pose')


def decode_objects(message: Any, names: tuple[str, ...]) -> Vector:
    """
    Return the poses of ``names`` in that order, shape ``(len(names), 7)``.

    :raises ObservationError: for a missing object, too few poses, NaN or infinity.
    """
    if len(message.poses) != len(message.names):
        raise ObservationError(
            'malformed',
            f'object states have {len(message.names)} names and {len(message.poses)} poses',
        )
    index = {name: place for place, name in enumerate(message.names)}
    poses = _select(message.poses, index, names, 'object states', 'missing_object')
    return _finite(np.stack([_pose_vector(pose) for pose in poses]), 'object poses')


def _select(
    values: Sequence[Any], index: dict[str, int], names: tuple[str, ...], what: str, reason: str
) -> list[Any]:
    missing = [name for name in names if name not in index]
    if missing:
        raise ObservationError(
            reason,
            f'{what} lack {", ".join(missing)}; they hold {", ".join(index) or "no names"}',
        )
    return [values[index[name]] for name in names]


@np.errstate(over='ignore')  # what is too large becomes infinity, and is refused
def _finite(values: Any, what: str) -> Vector:
    vector = np.asarray(values, np.float32)
    if not np.isfinite(vector).all():
        raise ObservationError('not_finite', f'{what} contain NaN or infinity')
    return vector


@np.errstate(over='ignore', invalid='ignore')
def _pose_vector(pose: Any) -> Vector:
    p, q = pose.position, pose.orientation
    rotation = np.array([q.x, q.y, q.z, q.w])
    length = float(np.linalg.norm(rotation))
    if length < 1e-6:
        raise ObservationError('malformed', 'pose has a quaternion of no length')
    return np.array([p.x, p.y, p.z, *(rotation / length)], np.float32)
