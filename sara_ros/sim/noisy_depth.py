"""Cameras whose depth is as a real sensor's: noisy, and with holes."""

from __future__ import annotations

from typing import Protocol

import mujoco
import numpy as np
from numpy.typing import NDArray

from sara_ros.sim.conditions import Conditions, DepthNoise
from sara_ros.sim.points import Float32Array, Intrinsics
from sara_ros.sim.state import Pose


class Cameras(Protocol):
    """What draws pictures of a world; see :class:`sara_ros.sim.cameras.CameraRig`."""

    def intrinsics(self, camera: str, height: int, width: int) -> Intrinsics:
        """Return the pinhole parameters for an image of this size."""
        ...

    def pose(self, data: mujoco.MjData, camera: str) -> Pose:
        """Return the pose of the camera's optical frame in ``base_link``."""
        ...

    def rgb(self, data: mujoco.MjData, camera: str, height: int, width: int) -> NDArray[np.uint8]:
        """Render colour, shape ``(height, width, 3)``."""
        ...

    def rgb_depth(
        self, data: mujoco.MjData, camera: str, height: int, width: int
    ) -> tuple[NDArray[np.uint8], Float32Array]:
        """Render colour and depth ``(height, width)`` in m."""
        ...


class NoisyDepth:
    """
    Cameras whose depth is off by ``spread_m`` times the distance squared, and partly missing.

    Structured light errs like that (Khoshelham and Elberink 2012). A pixel that is missing has
    infinite depth, as where nothing is near enough.
    """

    def __init__(self, inner: Cameras, noise: DepthNoise) -> None:
        """Wrap ``inner`` for one episode."""
        self._inner, self._noise = inner, noise
        self._rng = np.random.default_rng(noise.seed)

    def intrinsics(self, camera: str, height: int, width: int) -> Intrinsics:
        """See :class:`Cameras`."""
        return self._inner.intrinsics(camera, height, width)

    def pose(self, data: mujoco.MjData, camera: str) -> Pose:
        """See :class:`Cameras`."""
        return self._inner.pose(data, camera)

    def rgb(self, data: mujoco.MjData, camera: str, height: int, width: int) -> NDArray[np.uint8]:
        """See :class:`Cameras`."""
        return self._inner.rgb(data, camera, height, width)

    def rgb_depth(
        self, data: mujoco.MjData, camera: str, height: int, width: int
    ) -> tuple[NDArray[np.uint8], Float32Array]:
        """See :class:`Cameras`."""
        rgb, depth = self._inner.rgb_depth(data, camera, height, width)
        seen = np.isfinite(depth)
        near = np.where(seen, depth, np.float32(0))
        error = self._rng.standard_normal(depth.shape, np.float32)
        noisy = near + np.float32(self._noise.spread_m) * error * np.square(near)
        kept = seen & (self._rng.random(depth.shape, np.float32) >= self._noise.dropout)
        return rgb, np.where(kept, noisy, np.float32(np.inf))


def cameras_of(conditions: Conditions, rig: Cameras) -> Cameras:
    """Return the cameras of an episode: ``rig``, or ``rig`` with what its depth gets wrong."""
    return rig if conditions.depth is None else NoisyDepth(rig, conditions.depth)
