"""Where a depth camera is, seen from a table in its picture."""

from __future__ import annotations

from typing import Final

import mujoco
import numpy as np
from numpy.typing import NDArray

TABLE_CENTER_M: Final = (0.47, 0.0)
"""Where the middle of the table is put in ``base_link``: the middle of the workspace."""


def camera_above_table(positions: NDArray[np.float32]) -> NDArray[np.float64]:
    """
    Return the camera's optical frame in ``base_link`` as x, y, z, qx, qy, qz, qw.

    The largest plane of the cloud becomes z = 0 and its middle ``TABLE_CENTER_M``; the camera
    looks along -x, as one that stands opposite the arm does.

    :param positions: ``(N, 3)`` m in the optical frame; points with NaN are ignored.
    """
    import open3d

    points = positions.reshape(-1, 3)
    points = points[np.isfinite(points).all(axis=1)][::16].astype(np.float64)
    cloud = open3d.geometry.PointCloud(open3d.utility.Vector3dVector(points))
    open3d.utility.random.seed(0)
    plane, inliers = cloud.segment_plane(0.01, 3, 500)
    up = np.array(plane[:3]) / np.linalg.norm(plane[:3])
    up = up if up[2] < 0 else -up  # the camera looks at the table from above
    # base_link's axes in the optical frame; the view direction, made level, is -x.
    forward = -(np.array([0.0, 0.0, 1.0]) - up * up[2])
    forward /= np.linalg.norm(forward)
    rotation = np.stack([forward, np.cross(up, forward), up])
    middle = points[inliers].mean(axis=0)
    position = np.array([*TABLE_CENTER_M, 0.0]) - rotation @ middle
    quaternion = np.empty(4)
    mujoco.mju_mat2Quat(quaternion, rotation.reshape(9))
    return np.concatenate([position, np.roll(quaternion, -1)])
