"""One frame of the tabletop: what a policy sees, what the expert does, and what is where."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from sara_ros.core import ParameterError
from sara_ros.policies.pct_config import PCTConfig
from sara_ros.policies.point_filter import filter_points
from sara_ros.policies.rt2_config import View
from sara_ros.sim.action_space import RATE_HZ
from sara_ros.sim.cameras import BUFFER_SIZE, CameraRig
from sara_ros.sim.conditions import STANDARD, Conditions
from sara_ros.sim.expert import expert_action
from sara_ros.sim.noisy_depth import Cameras, NoisyDepth
from sara_ros.sim.points import to_camera
from sara_ros.sim.scene import COLORS, FINGER_TRAVEL_M, OBJECTS
from sara_ros.sim.sensors import front_cloud
from sara_ros.sim.state import WorldState
from sara_ros.sim.tasks import TASKS
from sara_ros.sim.world import TabletopWorld
from sara_ros.training.frames import Frames
from sara_ros.training.grasps import block_grasps

FRONT: Final = View('front', 144, 192, 16)
WRIST: Final = View('wrist', 64, 64, 16)
VIEWS: Final = (FRONT, WRIST)
DEPTH_SIZE: Final = (120, 160)
"""Rows and columns of the depth image behind a cloud, as the simulator publishes it."""

_SUPERSAMPLING: Final = {'front': 3, 'wrist': 2}
"""
How many times larger a view is drawn, where the offscreen buffer is large enough.

Live images are averaged from larger ones; drawing those here would cost three times more.
"""


@dataclass(frozen=True, slots=True)
class Capture:
    """
    Which sensors to draw: the cameras, or the cloud as ``points`` filters it.

    :param views: sizes of the images.
    :param dense: whether every state of an episode becomes a frame, for history and chunks.
    """

    images: bool = True
    points: PCTConfig | None = None
    views: tuple[View, ...] = VIEWS
    dense: bool = False


def capture(
    world: TabletopWorld,
    rig: CameraRig,
    task_index: int,
    wanted: Capture,
    conditions: Conditions = STANDARD,
    *,
    episode: int = 0,
    expert_drives: bool = True,
) -> dict[str, Any]:
    """
    Return one row of training data for the present state of ``world``.

    ``conditions`` are those that ``world`` wears; what is wrong with depth is taken from them.
    ``state`` (8,), ``labels`` (16, 8) the expert's action for each task, ``task`` the one this
    state came from, ``episode`` and ``step`` which state of which episode it is, and
    ``expert_drives`` whether the expert brought it there; with images ``front``, ``wrist``
    (H, W, 3), ``counts`` (tokens, 5) pixels of each object behind an image token, ``pixels``
    (2, 5, 2) and ``places`` (2, 5, 3) where the objects are in both views and in ``base_link``
    and the wrist camera; with points ``points`` (N, 6) and ``places``, for a grasp head
    ``grasps`` (4, 7) of the blocks.
    """
    state = world.state
    row: dict[str, Any] = {
        'state': state_vector(state),
        'labels': np.stack([expert_action(state, task) for task in TASKS]),
        'task': np.int64(task_index),
        'places': _places(world, rig, state),
        'episode': np.int64(episode),
        'step': np.int64(round(world.time_sec * RATE_HZ)),
        'expert_drives': np.bool_(expert_drives),
    }
    if wanted.images:
        views = wanted.views
        row.update({view.name: image(world, rig, view) for view in views})
        row['counts'] = np.concatenate([_counts(world, rig, view) for view in views])
        row['pixels'] = np.stack([_pixels(world, rig, view, state) for view in views])
    if wanted.points is not None:
        cloud = front_cloud(_depth_cameras(rig, conditions, row['step']), world.data, DEPTH_SIZE)
        filtered = filter_points(cloud, wanted.points)
        row['points'] = filtered.astype(np.float16)
        if wanted.points.grasp_symmetry:
            row['grasps'] = block_grasps(state)
    return row


def require_fit(frames: Frames, wanted: Capture, folder: Path) -> None:
    """
    Check that frames read from ``folder`` hold what ``wanted`` draws.

    :raises ParameterError: naming what is missing or has another shape.
    """
    tasks = len(TASKS)
    shapes: dict[str, tuple[int, ...]] = {'state': (8,), 'labels': (tasks, 8)}
    if wanted.images:
        shapes.update({view.name: (view.height, view.width, 3) for view in wanted.views})
        tokens = sum(view.tokens for view in wanted.views)
        shapes['counts'] = (tokens, len(OBJECTS))
    if wanted.points is not None:
        shapes['points'] = (wanted.points.points, 3 + wanted.points.features)
        if wanted.points.grasp_symmetry:
            shapes['grasps'] = (len(COLORS), 7)
    for name, shape in shapes.items():
        found = frames[name].shape[1:] if name in frames else 'missing'
        if found != shape:
            raise ParameterError(
                f"{folder}: '{name}' of the frames is {found}, this run needs {shape}; give "
                'another work folder, or remove this one to collect them again'
            )


def state_vector(state: WorldState) -> NDArray[np.float32]:
    """Return the end-effector pose and the finger joint's position in m, ``(8,)``."""
    finger_m = state.gripper_opening * FINGER_TRAVEL_M
    return np.append(state.ee.vector, finger_m).astype(np.float32)


def image(world: TabletopWorld, rig: CameraRig, view: View) -> NDArray[np.uint8]:
    """Draw a view larger than the network takes it and average it down, as live images are."""
    rows, columns = BUFFER_SIZE
    fitting = max(min(rows // view.height, columns // view.width), 1)
    factor = min(_SUPERSAMPLING[view.name], fitting)
    large = rig.rgb(world.data, view.name, view.height * factor, view.width * factor)
    small = cv2.resize(large, (view.width, view.height), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8)


def _depth_cameras(rig: CameraRig, conditions: Conditions, step: int) -> Cameras:
    """Return the cameras of one frame, whose noise is not that of the frame before."""
    noise = conditions.depth
    return rig if noise is None else NoisyDepth(rig, replace(noise, seed=noise.seed + int(step)))


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
    cells = mask.reshape(rows, view.cell, columns, view.cell).transpose(0, 2, 1, 3)
    cells = cells.reshape(rows * columns, -1)  # (tokens, pixels of a cell)
    counts = [(cells == index + 1).sum(axis=1) for index in range(len(OBJECTS))]
    return np.stack(counts, axis=1).clip(max=255).astype(np.uint8)
