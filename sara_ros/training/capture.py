"""One frame of the tabletop: what a policy sees, what the expert does, and what is where."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from sara_ros.policies.pct_config import PCTConfig
from sara_ros.policies.point_filter import filter_points
from sara_ros.policies.rt2_config import View
from sara_ros.sim.cameras import CameraRig
from sara_ros.sim.expert import expert_action
from sara_ros.sim.points import to_camera
from sara_ros.sim.scene import FINGER_TRAVEL_M, OBJECTS
from sara_ros.sim.sensors import front_cloud
from sara_ros.sim.state import WorldState
from sara_ros.sim.tasks import TASKS
from sara_ros.sim.world import TabletopWorld

FRONT: Final = View('front', 72, 96, 8)
WRIST: Final = View('wrist', 64, 64, 16)
VIEWS: Final = (FRONT, WRIST)
DEPTH_SIZE: Final = (120, 160)
"""Rows and columns of the depth image behind a cloud, as the simulator publishes it."""

_SUPERSAMPLING: Final = {'front': 3, 'wrist': 2}
"""Live images are averaged from larger ones; drawing those here would cost three times more."""


@dataclass(frozen=True, slots=True)
class Capture:
    """Which sensors to draw: the two cameras, or the cloud as ``points`` filters it."""

    images: bool = True
    points: PCTConfig | None = None


def capture(
    world: TabletopWorld, rig: CameraRig, task_index: int, wanted: Capture
) -> dict[str, Any]:
    """
    Return one row of training data for the present state of ``world``.

    ``state`` (8,), ``labels`` (16, 8) the expert's action for each task, ``task`` the one this
    state came from; with images ``front``, ``wrist`` (H, W, 3), ``counts`` (tokens, 5) pixels of
    each object behind an image token, ``pixels`` (2, 5, 2) and ``places`` (2, 5, 3) where the
    objects are in both views and in ``base_link`` and the wrist camera; with points ``points``
    (N, 6) and ``places``.
    """
    state = world.state
    row: dict[str, Any] = {
        'state': state_vector(state),
        'labels': np.stack([expert_action(state, task) for task in TASKS]),
        'task': np.int64(task_index),
        'places': _places(world, rig, state),
    }
    if wanted.images:
        row.update({view.name: image(world, rig, view) for view in VIEWS})
        row['counts'] = np.concatenate([_counts(world, rig, view) for view in VIEWS])
        row['pixels'] = np.stack([_pixels(world, rig, view, state) for view in VIEWS])
    if wanted.points is not None:
        filtered = filter_points(front_cloud(rig, world.data, DEPTH_SIZE), wanted.points)
        row['points'] = filtered.astype(np.float16)
    return row


def state_vector(state: WorldState) -> NDArray[np.float32]:
    """Return the end-effector pose and the finger joint's position in m, ``(8,)``."""
    finger_m = state.gripper_opening * FINGER_TRAVEL_M
    return np.append(state.ee.vector, finger_m).astype(np.float32)


def image(world: TabletopWorld, rig: CameraRig, view: View) -> NDArray[np.uint8]:
    """Draw a view larger than the network takes it and average it down, as live images are."""
    factor = _SUPERSAMPLING[view.name]
    large = rig.rgb(world.data, view.name, view.height * factor, view.width * factor)
    small = cv2.resize(large, (view.width, view.height), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8)


def _positions(state: WorldState) -> NDArray[np.float64]:
    return np.stack([state.objects[name].position for name in OBJECTS])


def _places(world: TabletopWorld, rig: CameraRig, state: WorldState) -> NDArray[np.float32]:
    base = _positions(state)
    wrist = to_camera(base, rig.pose(world.data, 'wrist'))
    return np.stack([base, wrist]).astype(np.float32)


def _pixels(
    world: TabletopWorld, rig: CameraRig, view: View, state: WorldState
) -> NDArray[np.float32]:
    seen = to_camera(_positions(state), rig.pose(world.data, view.name))
    return rig.intrinsics(view.name, view.height, view.width).project(seen).astype(np.float32)


def _counts(world: TabletopWorld, rig: CameraRig, view: View) -> NDArray[np.uint8]:
    mask = rig.mask(world.data, view.name, view.height, view.width)
    rows, columns = view.grid
    patches = mask.reshape(rows, view.patch, columns, view.patch).transpose(0, 2, 1, 3)
    patches = patches.reshape(rows * columns, -1)  # (tokens, pixels of a patch)
    counts = [(patches == index + 1).sum(axis=1) for index in range(len(OBJECTS))]
    return np.stack(counts, axis=1).clip(max=255).astype(np.uint8)
