"""Raw clouds to the fixed number of points a network takes: crop, voxel filter, count."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
import open3d as o3d

from sara_ros.core import ObservationError
from sara_ros.policies.pct_config import PCTConfig

Floats = NDArray[np.float32]


def filter_points(cloud: NDArray[Any], config: PCTConfig) -> Floats:
    """
    Return ``(points, 3 + features)`` float32 of a cloud ``(N, 3 + features)``.

    Points that are not finite are dropped, then open3d crops to the box and averages each voxel.

    :raises ObservationError: for a wrong shape, and ``no_points`` when nothing is left.
    """
    wanted = 3 + config.features
    if cloud.ndim != 2 or cloud.shape[1] != wanted:
        raise ObservationError(
            'shape', f"observation '{config.cloud}': expected (N, {wanted}), seen {cloud.shape}"
        )
    finite = cloud[np.isfinite(cloud).all(axis=1)]
    box = o3d.geometry.AxisAlignedBoundingBox(config.crop_min, config.crop_max)
    inside = _to_open3d(finite).crop(box)
    if inside.is_empty():
        raise ObservationError(
            'no_points',
            f"observation '{config.cloud}': none of {len(cloud)} points is finite and inside the "
            f'box {config.crop_min} to {config.crop_max} m; check the frame of the cloud',
        )
    return fixed_count(_to_numpy(inside.voxel_down_sample(config.voxel_m)), config.points)


def fixed_count(points: Floats, count: int) -> Floats:
    """
    Return exactly ``count`` points, the same ones for the same cloud.

    Points are ordered by x, then y, then z in whole millimetres; of too many every n-th is kept,
    and too few are repeated from the first on.
    """
    keys = np.round(points[:, :3] * 1000).astype(np.int64)
    ordered = points[np.lexsort((keys[:, 2], keys[:, 1], keys[:, 0]))]
    if len(ordered) >= count:
        chosen = np.linspace(0, len(ordered) - 1, count).round().astype(np.int64)
    else:
        chosen = np.arange(count) % len(ordered)
    return np.ascontiguousarray(ordered[chosen])


def _to_open3d(points: NDArray[Any]) -> Any:
    # open3d's older clouds hold doubles; even so their voxel filter is four times faster.
    cloud = o3d.geometry.PointCloud(o3d.utility.Vector3dVector(points[:, :3].astype(np.float64)))
    if points.shape[1] > 3:
        cloud.colors = o3d.utility.Vector3dVector(points[:, 3:].astype(np.float64))
    return cloud


def _to_numpy(cloud: Any) -> Floats:
    parts = [np.asarray(cloud.points)]
    if cloud.has_colors():
        parts.append(np.asarray(cloud.colors))
    return np.concatenate(parts, axis=1).astype(np.float32)
