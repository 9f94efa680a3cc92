"""The tabletop scene as a compiled MuJoCo model, and the numbers that describe it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import mujoco
import numpy as np
from numpy.typing import NDArray

ASSETS: Final = Path(__file__).parent / 'assets'

COLORS: Final = ('red', 'green', 'blue', 'yellow')
DISC: Final = 'disc'
OBJECTS: Final = (*COLORS, DISC)
"""Object names; a block is named by its colour. Masks hold an object's index here plus one."""

JOINTS: Final = tuple(f'joint_{index}' for index in range(1, 8))
FINGER_JOINT: Final = 'finger_joint'
GRIPPER_BODIES: Final = ('hand', 'left_finger', 'right_finger')
FINGER_TRAVEL_M: Final = 0.04
"""Travel of each finger; an opening of 1 is twice this between the pads."""

BLOCK_HALF_M: Final = 0.02
BLOCK_MASS_KG: Final = 0.06
DISC_RADIUS_M: Final = 0.05
DISC_HEIGHT_M: Final = 0.001

TIP_BELOW_EE_M: Final = 0.012
"""How far the fingertips reach beyond the end-effector point between the pads."""

BASE_FRAME: Final = 'base_link'

_RGBA: Final = {
    'red': (0.86, 0.16, 0.16, 1),
    'green': (0.16, 0.65, 0.26, 1),
    'blue': (0.13, 0.36, 0.86, 1),
    'yellow': (0.97, 0.80, 0.12, 1),
    DISC: (0.55, 0.24, 0.62, 1),
}


@dataclass(frozen=True, slots=True)
class CameraView:
    """
    A pinhole camera fixed to ``body``, at ``position`` and looking at ``target`` (m, body frame).

    ``up`` is the direction in the body frame that appears upwards in the image.
    """

    name: str
    body: str
    position: tuple[float, float, float]
    target: tuple[float, float, float]
    up: tuple[float, float, float]
    fovy_deg: float

    @property
    def frame(self) -> str:
        """Optical frame in ROS: z forward, x right, y down."""
        return f'{self.name}_camera_optical_frame'


FRONT: Final = CameraView(
    'front', 'world', (1.22, 0.36, 0.66), (0.405, 0.0, 0.085), (0, 0, 1), fovy_deg=36
)
OVERVIEW: Final = CameraView(
    'overview', 'world', (1.55, 0.95, 0.95), (0.22, 0.02, 0.26), (0, 0, 1), fovy_deg=36
)
"""For people: shows the whole arm; no policy sees it."""
WRIST: Final = CameraView(
    'wrist', 'hand', (-0.15, 0.0, -0.02), (-0.045, 0.0, 0.16), (1, 0, 0), fovy_deg=62
)


DISTRACTOR_SLOTS: Final = 4
"""Most distractors on the table."""


@dataclass(frozen=True, slots=True)
class SceneVariation:
    """
    What a scene is built with; the default is the standard suite.

    :param distractors: objects that no task names; hidden until an episode's conditions show
        them, and never touched.
    """

    cameras: tuple[CameraView, ...] = (FRONT, WRIST, OVERVIEW)
    distractors: int = 0


STANDARD_SCENE: Final = SceneVariation()
VARIED_SCENE: Final = SceneVariation(distractors=DISTRACTOR_SLOTS)


def scene_for(variations: Sequence[str]) -> SceneVariation:
    """Return what worlds for these names of ``variations.VARIATIONS`` are built with."""
    return VARIED_SCENE if 'distractors' in variations else STANDARD_SCENE


def build_model(variation: SceneVariation | None = None) -> mujoco.MjModel:
    """Compile the arm, the table, four blocks, the disc and the cameras."""
    variation = variation or SceneVariation()
    spec = mujoco.MjSpec.from_file(str(ASSETS / 'tabletop.xml'))
    for color in COLORS:
        _add_block(spec, color)
    _add_disc(spec)
    for index in range(variation.distractors):
        _add_distractor(spec, index)
    for view in variation.cameras:
        _add_camera(spec, view)
    return spec.compile()


def build_arm_model() -> mujoco.MjModel:
    """Compile the arm alone, for inverse kinematics."""
    return mujoco.MjModel.from_xml_path(str(ASSETS / 'arm.xml'))


def _add_block(spec: Any, color: str) -> None:
    body = spec.worldbody.add_body(name=color, pos=[0.4, 0, BLOCK_HALF_M])
    body.add_freejoint(name=color)
    body.add_geom(
        name=color,
        type=mujoco.mjtGeom.mjGEOM_BOX,
        size=[BLOCK_HALF_M] * 3,
        mass=BLOCK_MASS_KG,
        rgba=_RGBA[color],
        friction=[0.6, 0.01, 0.0001],
        condim=4,
        solref=[0.008, 1],
        contype=1,
        conaffinity=3,
    )


def _add_disc(spec: Any) -> None:
    body = spec.worldbody.add_body(name=DISC, mocap=True, pos=[0.5, 0, 0])
    body.add_geom(
        name=DISC,
        type=mujoco.mjtGeom.mjGEOM_CYLINDER,
        size=[DISC_RADIUS_M, DISC_HEIGHT_M / 2, 0],
        pos=[0, 0, DISC_HEIGHT_M / 2],
        rgba=_RGBA[DISC],
        contype=0,
        conaffinity=0,
    )


def distractor_name(index: int | str) -> str:
    """Return the name of a distractor's body and geom."""
    return f'distractor_{index}'


def _add_distractor(spec: Any, index: int) -> None:
    name = distractor_name(index)
    body = spec.worldbody.add_body(name=name, mocap=True, pos=[0.0, 0.0, -1.0])
    body.add_geom(
        name=name,
        type=mujoco.mjtGeom.mjGEOM_ELLIPSOID,
        size=[0.01, 0.01, 0.01],
        rgba=[0, 0, 0, 0],
        contype=0,
        conaffinity=0,
    )


def _add_camera(spec: Any, view: CameraView) -> None:
    forward = _unit(np.subtract(view.target, view.position))
    right = _unit(np.cross(forward, view.up))
    up = np.cross(right, forward)
    rotation = np.stack([right, up, -forward], axis=1)
    quaternion = np.empty(4)
    mujoco.mju_mat2Quat(quaternion, rotation.reshape(9))
    spec.body(view.body).add_camera(
        name=view.name, pos=view.position, quat=quaternion, fovy=view.fovy_deg
    )


def _unit(vector: NDArray[Any]) -> NDArray[np.float64]:
    return np.asarray(vector / np.linalg.norm(vector), np.float64)
