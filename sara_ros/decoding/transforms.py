"""Transforms between frames, from parameters and from what robots publish about them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from threading import Lock
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sara_ros.core import ObservationError, ParameterError

Matrix = NDArray[np.float64]


class Transforms(Protocol):
    """Where frames are, now or when a message was stamped."""

    def lookup(self, target: str, source: str, stamp_ns: int = 0) -> Matrix | None:
        """
        Return the 4x4 transform from ``source`` to ``target``; ``None`` when they are the same.

        :param stamp_ns: when, for frames that move.
        :raises ObservationError: when nothing connects the frames.
        """
        ...


class StaticTransforms:
    """
    Looks up fixed transforms by source and target frame, along any chain of known ones.

    Any thread may ask and tell.

    Each entry reads ``target source x y z qx qy qz qw``: the pose of the source frame in the
    target frame, m and unit quaternion, as static_transform_publisher takes it.
    """

    def __init__(self, entries: Iterable[str]) -> None:
        """
        Parse ``entries``.

        :raises ParameterError: naming the entry that cannot be read.
        """
        self._given: dict[str, dict[str, Matrix]] = {}
        self._heard: dict[str, dict[str, Matrix]] = {}
        self._found: dict[tuple[str, str], Matrix] = {}
        self._lock = Lock()
        for entry in entries:
            if entry.strip():
                _connect(self._given, *_parse(entry))

    def hear(self, target: str, source: str, pose: NDArray[Any]) -> None:
        """
        Take a transform that somebody published, x, y, z, qx, qy, qz, qw.

        The newest one of a pair counts; those of the parameters come first.

        :raises ValueError: for numbers that are no pose.
        """
        matrix = pose_matrix(pose)
        with self._lock:
            _connect(self._heard, target, source, matrix)
            self._found.clear()

    def lookup(self, target: str, source: str, stamp_ns: int = 0) -> Matrix | None:
        """
        Return the 4x4 transform from ``source`` to ``target``; ``None`` when they are the same.

        A message without a frame, and a need without one, are taken as they are.

        :raises ObservationError: when no entry connects the frames.
        """
        if not target or not source or target == source:
            return None
        with self._lock:
            matrix = self._found.get((target, source))
            if matrix is None:
                matrix = self._search(target, source)
                self._found[target, source] = matrix
        return matrix

    def _search(self, target: str, source: str) -> Matrix:
        """Return the shortest chain, through parameters alone where they suffice."""
        both = {
            frame: {**self._heard.get(frame, {}), **self._given.get(frame, {})}
            for frame in {*self._heard, *self._given}
        }
        for known in (self._given, both):
            matrix = _chain(known, target, source)
            if matrix is not None:
                return matrix
        raise ObservationError(
            'frame',
            f"message is in frame '{source}' and the policy needs '{target}'; publish that on "
            f"/tf_static, or add '{target} {source} x y z qx qy qz qw' to the parameter "
            'static_transforms',
        )


def _connect(known: dict[str, dict[str, Matrix]], target: str, source: str, pose: Matrix) -> None:
    known.setdefault(target, {})[source] = pose
    known.setdefault(source, {})[target] = _inverse(pose)


def _chain(known: dict[str, dict[str, Matrix]], target: str, source: str) -> Matrix | None:
    """Search breadth first from ``target``; each step carries one more frame into it."""
    reached = {target: np.eye(4)}
    waiting = deque([target])
    while waiting:
        frame = waiting.popleft()
        if frame == source:
            return reached[frame]
        for neighbour, matrix in known.get(frame, {}).items():
            if neighbour not in reached:
                reached[neighbour] = reached[frame] @ matrix
                waiting.append(neighbour)
    return None


def _inverse(matrix: Matrix) -> Matrix:
    inverse = np.eye(4)
    inverse[:3, :3] = matrix[:3, :3].T
    inverse[:3, 3] = -matrix[:3, :3].T @ matrix[:3, 3]
    return inverse


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
