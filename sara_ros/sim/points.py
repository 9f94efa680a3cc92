"""Pinhole geometry: depth images to point clouds and points to pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from sara_ros.sim.state import Pose

Float32Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Intrinsics:
    """
    A pinhole camera without distortion; pixel centres have whole coordinates, as in ROS.

    ``fx``, ``fy``, ``cx`` and ``cy`` are in pixels.
    """

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float

    @classmethod
    def from_fovy(cls, fovy_deg: float, height: int, width: int) -> Intrinsics:
        """Describe a camera with square pixels and the given vertical field of view."""
        focal = height / 2 / float(np.tan(np.radians(fovy_deg) / 2))
        return cls(width, height, focal, focal, (width - 1) / 2, (height - 1) / 2)

    def project(self, points: NDArray[Any]) -> NDArray[np.float64]:
        """Return pixels ``(N, 2)`` (x right, y down) of points ``(N, 3)`` in the optical frame."""
        values = np.asarray(points, np.float64)
        scale = (self.fx, self.fy) / np.maximum(values[:, 2:], 1e-6)
        return values[:, :2] * scale + (self.cx, self.cy)


def depth_to_points(
    depth: Float32Array, intrinsics: Intrinsics, rgb: NDArray[np.uint8] | None = None
) -> tuple[Float32Array, NDArray[np.uint8]]:
    """
    Turn a depth image ``(H, W)`` in m into points ``(N, 3)`` in the optical frame.

    Pixels without a finite depth give no point. Colours ``(N, 3)`` come from ``rgb``, an image of
    the same size; without one they are black.
    """
    seen = np.isfinite(depth)
    distance = depth[seen]
    rows, columns = np.nonzero(seen)
    points = np.empty((distance.size, 3), np.float32)
    points[:, 0] = (columns - intrinsics.cx) / intrinsics.fx * distance
    points[:, 1] = (rows - intrinsics.cy) / intrinsics.fy * distance
    points[:, 2] = distance
    colors = rgb[seen] if rgb is not None else np.zeros((distance.size, 3), np.uint8)
    return points, colors


def to_base(points: NDArray[Any], camera: Pose) -> Float32Array:
    """Carry points ``(N, 3)`` from the optical frame at ``camera`` to ``base_link``."""
    rotation = rotation_matrix(camera).astype(np.float32)
    moved = points.astype(np.float32) @ rotation.T + camera.position
    return np.asarray(moved, np.float32)


def to_camera(points: NDArray[Any], camera: Pose) -> NDArray[np.float64]:
    """Carry points ``(N, 3)`` from ``base_link`` to the optical frame at ``camera``."""
    return np.asarray((points - camera.position) @ rotation_matrix(camera), np.float64)


def rotation_matrix(pose: Pose) -> NDArray[np.float64]:
    """Return the ``(3, 3)`` rotation of a pose."""
    matrix = np.empty(9)
    mujoco.mju_quat2Mat(matrix, np.roll(pose.quaternion, 1))
    return matrix.reshape(3, 3)
