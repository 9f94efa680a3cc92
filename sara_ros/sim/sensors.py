"""Which of the tabletop's cameras to render, and at which size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import mujoco
import numpy as np
from numpy.typing import NDArray

from sara_ros.core import ParameterError
from sara_ros.sim.noisy_depth import Cameras
from sara_ros.sim.points import Float32Array, depth_to_points, to_base
from sara_ros.sim.scene import FRONT, WRIST

CLOUD_COLORS: Final = ('red', 'green', 'blue')
"""Point fields of a cloud after ``x y z``."""


@dataclass(frozen=True, slots=True)
class SensorSizes:
    """
    Image sizes as height and width in pixels; ``None`` leaves a sensor out.

    :param depth_images: whether each camera also gives a depth image of its size.
    :param points: number of points, drawn from the front depth image of ``depth`` pixels.
    """

    front: tuple[int, int] | None = (96, 128)
    wrist: tuple[int, int] | None = (64, 64)
    depth_images: bool = True
    points: int | None = None
    depth: tuple[int, int] = (120, 160)

    def __post_init__(self) -> None:
        """Check that there is something to draw points from."""
        if self.points is not None and self.points < 1:
            raise ParameterError(f'points is {self.points}; must be at least 1 or None')


def render(
    rig: Cameras, data: mujoco.MjData, sizes: SensorSizes, rng: np.random.Generator
) -> dict[str, NDArray[np.uint8] | Float32Array]:
    """
    Return the wanted ones of ``front``, ``front_depth``, ``wrist``, ``wrist_depth``, ``points``.

    Depth is in m, 0 where there is none.
    """
    seen: dict[str, NDArray[np.uint8] | Float32Array] = {}
    for view, size in ((FRONT, sizes.front), (WRIST, sizes.wrist)):
        if size is None:
            continue
        if sizes.depth_images:
            seen[view.name], depth = rig.rgb_depth(data, view.name, *size)
            seen[f'{view.name}_depth'] = np.where(np.isfinite(depth), depth, np.float32(0))
        else:
            seen[view.name] = rig.rgb(data, view.name, *size)
    if sizes.points is not None:
        cloud = front_cloud(rig, data, sizes.depth)
        rows = rng.choice(len(cloud), sizes.points, replace=len(cloud) < sizes.points)
        seen['points'] = cloud[rows]
    return seen


def front_cloud(rig: Cameras, data: mujoco.MjData, size: tuple[int, int]) -> Float32Array:
    """Return the front depth image as ``(N, 6)``: x y z (m, ``base_link``), colour in [0, 1]."""
    rgb, depth = rig.rgb_depth(data, FRONT.name, *size)
    points, colors = depth_to_points(depth, rig.intrinsics(FRONT.name, *size), rgb)
    base = to_base(points, rig.pose(data, FRONT.name))
    return np.concatenate([base, colors.astype(np.float32) / 255], axis=1)
