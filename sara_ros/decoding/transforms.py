"""Fixed transforms between frames, given as parameters where no TF tree is at hand."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sara_ros.core import ObservationError, ParameterError

Matrix = NDArray[np.float64]


class StaticTransforms:
    """
    Looks up fixed transforms by source and target frame.

    Each entry reads ``target source x y z qx qy qz qw``: the pose of the source frame in the
    target frame, m and unit quaternion, as static_transform_publisher takes it.
    """

    def __init__(self, entries: Iterable[str]) -> None:
        """
        Parse ``entries``.

        :raises ParameterError: naming the entry that cannot be read.
        """
        self._matrices: dict[tuple[str, str], Matrix] = {}
        for entry in entries:
            if entry.strip():
                target, source, matrix = _parse(entry)
                self._matrices[target, source] = matrix

    def lookup(self, target: str, source: str) -> Matrix | None:
        """
        Return the 4x4 transform from ``source`` to ``target``; ``None`` when they are the same.

        A message without a frame, and a need without one, are taken as they are.

        :raises ObservationError: when no entry connects the frames.
        """
        if not target or not source or target == source:
            return None
        try:
            return self._matrices[target, source]
        except KeyError:
            raise ObservationError(
                'frame',
                f"message is in frame '{source}' and the policy needs '{target}'; add "
                f"'{target} {source} x y z qx qy qz qw' to the parameter static_transforms",
            ) from None


def _parse(entry: str) -> tuple[str, str, Matrix]:
    parts = entry.split()
    try:
        target, source = parts[0], parts[1]
        values = [float(part) for part in parts[2:]]
        if len(values) != 7:
            raise ValueError('expected 7 numbers')
        return target, source, pose_matrix(np.array(values))
    except (ValueError, IndexError) as err:
        raise ParameterError(
            f"static_transforms: '{entry}' does not read 'target source x y z qx qy qz qw': {err}"
        ) from err


def pose_matrix(pose: NDArray[Any]) -> Matrix:
    """
    Return the 4x4 matrix of x, y, z, qx, qy, qz, qw.

    :raises ValueError: for NaN, and a quaternion that is not of unit length within 1 %.
    """
    length = np.linalg.norm(pose[3:])
    if not np.isfinite(pose).all():
        raise ValueError('not all numbers are finite')
    if abs(length - 1) > 0.01:
        raise ValueError(f'quaternion {pose[3:]} is not of unit length')
    x, y, z, w = pose[3:] / length
    matrix = np.eye(4)
    matrix[:3, :3] = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    matrix[:3, 3] = pose[:3]
    return matrix


def transform_points(matrix: Matrix, points: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return points ``(N, 3+)`` with their first three columns moved by ``matrix``."""
    moved: NDArray[np.float32] = points.copy()
    moved[:, :3] = points[:, :3] @ matrix[:3, :3].T.astype(np.float32) + matrix[:3, 3].astype(
        np.float32
    )
    return moved
