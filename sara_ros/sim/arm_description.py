"""Arms that inverse kinematics can move: the tabletop's, and any other from its URDF."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from xml.etree import ElementTree

import mink
import mujoco
import numpy as np

from sara_ros.core import ParameterError
from sara_ros.sim import scene
from sara_ros.sim.state import Float64Array

HOME_JOINTS: Final = np.array([0.0, 0.17, 0.0, 2.07, 0.0, 0.9, 0.0])
MAX_JOINT_SPEED_RAD_PER_SEC: Final = 2.5

_KINEMATIC: Final = ('link', 'joint')
_NOT_KINEMATIC: Final = ('visual', 'collision')


@dataclass(frozen=True, slots=True, eq=False)
class ArmDescription:
    """
    A kinematic tree, and what of it is the arm.

    :param model: its world is the frame that end-effector actions are in.
    :param joints: names of the arm's joints, from the base to the tip.
    :param tip: the end effector, and whether MuJoCo calls it a ``site`` or a ``body``.
    :param home_rad: a comfortable configuration, shape ``(len(joints),)``.
    :param posture_cost: what it costs to leave ``home_rad``, one number a degree of freedom.
    :param speed_limits: rad/s or m/s of joints by name.
    """

    model: mujoco.MjModel
    joints: tuple[str, ...]
    tip: tuple[str, str]
    home_rad: Float64Array
    posture_cost: Float64Array
    speed_limits: dict[str, float]

    @property
    def addresses(self) -> list[int]:
        """Places of ``joints`` in MuJoCo's ``qpos``."""
        return [int(self.model.joint(name).qposadr[0]) for name in self.joints]

    def tip_pose(self, data: mujoco.MjData) -> mink.SE3:
        """Return the pose of the end effector in the frame of the model."""
        name, kind = self.tip
        part = data.site(name) if kind == 'site' else data.body(name)
        position = part.xpos
        return mink.SE3.from_rotation_and_translation(
            mink.SO3.from_matrix(part.xmat.reshape(3, 3)), position
        )


def tabletop_arm() -> ArmDescription:
    """Return the arm of the simulated tabletop."""
    model = scene.build_arm_model()
    return ArmDescription(
        model,
        scene.JOINTS,
        ('ee', 'site'),
        HOME_JOINTS,
        # Only the redundant joints are held, so that joints follow from the pose alone.
        np.array([0, 0, 0.02, 0, 0.02, 0, 0, 0, 0]),
        dict.fromkeys(scene.JOINTS, MAX_JOINT_SPEED_RAD_PER_SEC),
    )


def arm_from_urdf(urdf: str, joints: Sequence[str], tip: str) -> ArmDescription:
    """
    Read an arm from a URDF; meshes and inertias are not needed.

    Joints that are not named in ``joints`` stand still at zero. Speed limits are the URDF's. An
    arm with more than six joints moves them as little as the end effector lets it.

    :param urdf: the text, without xacro.
    :param tip: link of the end effector.
    :raises ParameterError: when it cannot be read, or lacks a joint or the tip.
    """
    try:
        model = mujoco.MjModel.from_xml_string(_kinematics_of(urdf, joints))
    except (ValueError, ElementTree.ParseError) as err:
        raise ParameterError(f'the URDF of the arm cannot be read: {err}') from err
    known = [model.joint(index).name for index in range(model.njnt)]
    links = [model.body(index).name for index in range(model.nbody)]
    for name, names, what in (*((each, known, 'joint') for each in joints), (tip, links, 'link')):
        if name not in names:
            raise ParameterError(f"the URDF has no {what} '{name}'; it has {', '.join(names)}")
    return ArmDescription(
        model,
        tuple(joints),
        (tip, 'body'),
        np.array([_middle(model, name) for name in joints]),
        np.zeros(model.nv),
        _speeds(urdf, joints),
    )


def _kinematics_of(urdf: str, joints: Sequence[str]) -> str:
    """Return the URDF without shapes, and with ``joints`` as the only ones that move."""
    robot = ElementTree.fromstring(urdf)
    for child in list(robot):
        if child.tag not in _KINEMATIC:
            robot.remove(child)
            continue
        if child.tag == 'joint' and child.get('name') not in joints:
            child.set('type', 'fixed')
        for part in list(child):
            if part.tag in _NOT_KINEMATIC:
                child.remove(part)
    options = ElementTree.SubElement(robot, 'mujoco')
    ElementTree.SubElement(
        options,
        'compiler',
        {'fusestatic': 'false', 'boundmass': '0.001', 'boundinertia': '1e-6',
         'balanceinertia': 'true'},
    )  # fmt: skip
    return ElementTree.tostring(robot, encoding='unicode')


def _middle(model: mujoco.MjModel, name: str) -> float:
    low, high = model.joint(name).range
    return float(low + high) / 2


def _speeds(urdf: str, joints: Sequence[str]) -> dict[str, float]:
    speeds = {}
    for joint in ElementTree.fromstring(urdf).findall('joint'):
        limit, name = joint.find('limit'), joint.get('name', '')
        if name in joints and limit is not None and float(limit.get('velocity', '0')) > 0:
            speeds[name] = float(limit.get('velocity', '0'))
    return speeds
