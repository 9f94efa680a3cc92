"""Moves the arm: end-effector deltas become a target that differential IK follows."""

from __future__ import annotations

from typing import Any, Final

import mink
import mujoco
import numpy as np
from numpy.typing import NDArray

from sara_ros.core import ActionError
from sara_ros.sim import scene
from sara_ros.sim.action_space import MAX_STEP_M, MAX_STEP_RAD, RATE_HZ
from sara_ros.sim.kinematics import CONTROL_PERIOD_SEC, InverseKinematics
from sara_ros.sim.state import Float64Array
from sara_ros.sim.workspace import near, within

_MAX_GRIPPER_SPEED_PER_SEC: Final = 5.0
_PERIODS_PER_ACTION: Final = round(1 / RATE_HZ / CONTROL_PERIOD_SEC)

TOOL_DOWN: Final = mink.SO3(np.array([0.0, 1.0, 0.0, 0.0]))
"""Approach direction straight down, x axis forward."""


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
        self._target = within(mink.SE3.from_rotation_and_translation(rotation, position))
        self._reference, self._periods_left = self._target, 1
        self._opening = self._opening_reference = float(np.clip(opening, 0, 1))
        joints = self._solver.solve(self._target)
        self._write(joints)
        return joints

    def apply(self, action: NDArray[Any]) -> None:
        """
        Move the target by one action; it stays there until the next.

        An action without motion stops the arm where it is, also half way through the one before.

        :raises ActionError: when the action does not have eight finite numbers.
        """
        values = np.asarray(action, np.float64)
        if values.shape != (8,) or not np.isfinite(values).all():
            raise ActionError(f'expected an action of 8 finite numbers, got {action!r}')
        self.grip(float(values[7]))
        if not values[1:7].any():
            self._target, self._periods_left = self._reference, 1
            return
        translation = np.clip(values[1:4], -MAX_STEP_M, MAX_STEP_M)
        rotation = np.clip(values[4:7], -MAX_STEP_RAD, MAX_STEP_RAD)
        wanted = mink.SE3.from_rotation_and_translation(
            mink.SO3.exp(rotation) @ self._target.rotation(),
            self._target.translation() + translation,
        )
        self._target = within(near(wanted, self.measured()))
        self._periods_left = _PERIODS_PER_ACTION

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


def _part_way(start: mink.SE3, end: mink.SE3, part: float) -> mink.SE3:
    turn = (end.rotation() @ start.rotation().inverse()).log()
    gap = end.translation() - start.translation()
    return mink.SE3.from_rotation_and_translation(
        mink.SO3.exp(part * turn) @ start.rotation(), start.translation() + part * gap
    )
