"""Moves the arm: end-effector deltas become a target that differential IK follows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import mink
import mujoco
import numpy as np
from numpy.typing import NDArray

from sara_ros.core import ActionError
from sara_ros.sim import scene
from sara_ros.sim.action_space import MAX_STEP_M, MAX_STEP_RAD, RATE_HZ
from sara_ros.sim.state import Float64Array

CONTROL_PERIOD_SEC: Final = 0.01
"""Time between two solutions of the inverse kinematics."""

_MAX_JOINT_SPEED_RAD_PER_SEC: Final = 2.5
_MAX_GRIPPER_SPEED_PER_SEC: Final = 5.0
_JOINT_LIMIT_MARGIN_RAD: Final = 0.02
_PERIODS_PER_ACTION: Final = round(1 / RATE_HZ / CONTROL_PERIOD_SEC)
_FOLLOW_GAIN: Final = 0.8
_SOLVE_PERIOD_SEC: Final = 0.4
"""Pretended period for a jump to a far pose: the speed limit then allows 1 rad a solution."""


@dataclass(frozen=True, slots=True)
class Workspace:
    """Where the end-effector target may be, in ``base_link``."""

    low_m: tuple[float, float, float] = (0.26, -0.30, 0.0)
    high_m: tuple[float, float, float] = (0.68, 0.30, 0.36)
    fingertip_clearance_m: float = 0.004
    max_tilt_rad: float = 0.5
    max_lead_m: float = 0.06
    max_lead_rad: float = 0.4


WORKSPACE: Final = Workspace()

TOOL_DOWN: Final = mink.SO3(np.array([0.0, 1.0, 0.0, 0.0]))
"""Approach direction straight down, x axis forward."""

HOME_JOINTS: Final = np.array([0.0, 0.17, 0.0, 2.07, 0.0, 0.9, 0.0])

_TIP_CORNERS: Final = np.array(
    [[x, y, scene.TIP_BELOW_EE_M] for x in (-0.009, 0.009) for y in (-0.052, 0.052)]
)


class ArmController:
    """
    Turns actions into actuator targets of a MuJoCo model built by :mod:`sara_ros.sim.scene`.

    An action has eight numbers: terminate (0 to 1), translation (m) and rotation vector (rad) of
    this step in ``base_link``, gripper opening (0 closed, 1 open).
    """

    def __init__(self, model: mujoco.MjModel, data: mujoco.MjData) -> None:
        """Control the arm of ``model`` by writing to ``data.ctrl``."""
        self._data = data
        self._site = model.site('ee').id
        self._solver = InverseKinematics()
        self._target = self._reference = mink.SE3.identity()
        self._periods_left = 1
        self._opening = 1.0
        self._opening_reference = 1.0

    @property
    def target(self) -> mink.SE3:
        """Commanded end-effector pose in ``base_link``."""
        return self._target

    def measured(self) -> mink.SE3:
        """Actual end-effector pose in ``base_link``."""
        rotation = mink.SO3.from_matrix(self._data.site_xmat[self._site].reshape(3, 3))
        return mink.SE3.from_rotation_and_translation(rotation, self._data.site_xpos[self._site])

    def place(self, position: Float64Array, yaw_rad: float, opening: float) -> Float64Array:
        """
        Command a pose with the tool pointing down, at once; return its joint positions.

        The caller writes them to the model; the target is clamped to the workspace.
        """
        rotation = mink.SO3.exp(np.array([0.0, 0.0, yaw_rad])) @ TOOL_DOWN
        self._target = _within(mink.SE3.from_rotation_and_translation(rotation, position))
        self._reference, self._periods_left = self._target, 1
        self._opening = self._opening_reference = float(np.clip(opening, 0, 1))
        joints = self._solver.solve(self._target)
        self._write(joints)
        return joints

    def apply(self, action: NDArray[Any]) -> None:
        """
        Move the target by one action; it stays there until the next.

        :raises ActionError: when the action does not have eight finite numbers.
        """
        values = np.asarray(action, np.float64)
        if values.shape != (8,) or not np.isfinite(values).all():
            raise ActionError(f'expected an action of 8 finite numbers, got {action!r}')
        translation = np.clip(values[1:4], -MAX_STEP_M, MAX_STEP_M)
        rotation = np.clip(values[4:7], -MAX_STEP_RAD, MAX_STEP_RAD)
        wanted = mink.SE3.from_rotation_and_translation(
            mink.SO3.exp(rotation) @ self._target.rotation(),
            self._target.translation() + translation,
        )
        self._target = _within(_near(wanted, self.measured()))
        self._periods_left = _PERIODS_PER_ACTION
        self.grip(float(values[7]))

    def grip(self, opening: float) -> None:
        """Command a gripper opening (0 closed, 1 open)."""
        self._opening = float(np.clip(opening, 0, 1))

    def follow(self) -> None:
        """
        Advance the actuator targets by one control period.

        The arm gets to its target evenly over the time of one action: steady actions make a
        steady motion, which a held block survives.
        """
        self._reference = _part_way(self._reference, self._target, 1 / self._periods_left)
        self._periods_left = max(1, self._periods_left - 1)
        step = _MAX_GRIPPER_SPEED_PER_SEC * CONTROL_PERIOD_SEC
        gap = self._opening - self._opening_reference
        self._opening_reference += float(np.clip(gap, -step, step))
        self._write(self._solver.step(self._reference))

    def _write(self, joints: Float64Array) -> None:
        self._data.ctrl[:7] = joints
        self._data.ctrl[7] = self._opening_reference * scene.FINGER_TRAVEL_M


class InverseKinematics:
    """Differential inverse kinematics within joint position and speed limits (mink, DAQP)."""

    def __init__(self) -> None:
        """Start at the home configuration."""
        model = scene.build_arm_model()
        self._home = np.concatenate([HOME_JOINTS, np.zeros(model.nq - 7)])
        self._configuration = mink.Configuration(model, q=self._home)
        self._frame = mink.FrameTask('ee', 'site', position_cost=1.0, orientation_cost=0.3)
        # Only the redundant joints are held, so that joints follow from the pose alone.
        posture = mink.PostureTask(model, cost=np.array([0, 0, 0.02, 0, 0.02, 0, 0, 0, 0]))
        posture.set_target(self._home)
        self._tasks = [self._frame, posture]
        self._limits = [
            mink.ConfigurationLimit(model, min_distance_from_limits=_JOINT_LIMIT_MARGIN_RAD),
            mink.VelocityLimit(model, dict.fromkeys(scene.JOINTS, _MAX_JOINT_SPEED_RAD_PER_SEC)),
        ]

    def step(self, target: mink.SE3) -> Float64Array:
        """Move one control period towards ``target``; return joint positions, shape (7,)."""
        return self._iterate(target, CONTROL_PERIOD_SEC, _FOLLOW_GAIN)

    def solve(self, target: mink.SE3) -> Float64Array:
        """Return joint positions at ``target``, from the home configuration, shape (7,)."""
        self._configuration.update(self._home)
        for _ in range(30):
            joints = self._iterate(target, _SOLVE_PERIOD_SEC, 1.0)
            if float(np.abs(self._frame.compute_error(self._configuration)).max()) < 1e-5:
                break
        return joints

    def _iterate(self, target: mink.SE3, period_sec: float, gain: float) -> Float64Array:
        self._frame.set_target(target)
        self._frame.gain = gain
        velocity = mink.solve_ik(
            self._configuration,
            self._tasks,
            period_sec,
            'daqp',
            damping=1e-6,
            limits=self._limits,
        )
        self._configuration.integrate_inplace(velocity, period_sec)
        return np.array(self._configuration.q[:7])


def _part_way(start: mink.SE3, end: mink.SE3, part: float) -> mink.SE3:
    turn = (end.rotation() @ start.rotation().inverse()).log()
    gap = end.translation() - start.translation()
    return mink.SE3.from_rotation_and_translation(
        mink.SO3.exp(part * turn) @ start.rotation(), start.translation() + part * gap
    )


def _near(wanted: mink.SE3, measured: mink.SE3) -> mink.SE3:
    """Keep the target close to the arm, so that a blocked arm does not wind up."""
    lead = wanted.translation() - measured.translation()
    distance = float(np.linalg.norm(lead))
    turn = (wanted.rotation() @ measured.rotation().inverse()).log()
    angle = float(np.linalg.norm(turn))
    lead *= min(1.0, WORKSPACE.max_lead_m / max(distance, 1e-9))
    turn *= min(1.0, WORKSPACE.max_lead_rad / max(angle, 1e-9))
    return mink.SE3.from_rotation_and_translation(
        mink.SO3.exp(turn) @ measured.rotation(), measured.translation() + lead
    )


def _within(pose: mink.SE3) -> mink.SE3:
    """Clamp a target to the workspace, upright enough and with the fingers above the table."""
    rotation = _upright(pose.rotation())
    lowest = float((_TIP_CORNERS @ rotation.as_matrix().T)[:, 2].min())
    low = np.array(WORKSPACE.low_m)
    low[2] = max(low[2], WORKSPACE.fingertip_clearance_m - lowest)
    position = np.clip(pose.translation(), low, WORKSPACE.high_m)
    return mink.SE3.from_rotation_and_translation(rotation, position)


def _upright(rotation: mink.SO3) -> mink.SO3:
    approach = rotation.as_matrix()[:, 2]
    axis = np.cross(approach, [0.0, 0.0, -1.0])
    sine = float(np.linalg.norm(axis))
    excess = float(np.arctan2(sine, -approach[2])) - WORKSPACE.max_tilt_rad
    if excess <= 0 or sine < 1e-9:
        return rotation
    return mink.SO3.exp(axis / sine * excess) @ rotation
