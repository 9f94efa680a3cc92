"""Moves the arm: end-effector deltas become a target that differential IK follows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
import math
from typing import Any, Final

import mink
import numpy as np
from numpy.typing import NDArray

from sara_ros.core import ActionError
from sara_ros.sim.action_space import MAX_STEP_M, MAX_STEP_RAD, RATE_HZ
from sara_ros.sim.arm_description import ArmDescription
from sara_ros.sim.kinematics import CONTROL_PERIOD_SEC, InverseKinematics
from sara_ros.sim.state import Float64Array
from sara_ros.sim.workspace import WORKSPACE, Workspace, near, within

_MAX_GRIPPER_SPEED_PER_SEC: Final = 5.0
_ARRIVED_M: Final = 1e-6

TOOL_DOWN: Final = mink.SO3(np.array([0.0, 1.0, 0.0, 0.0]))
"""Approach direction straight down, x axis forward."""


@dataclass(frozen=True, slots=True)
class ActionSteps:
    """How far one action may move the end effector, per axis, and how many come a second."""

    rate_hz: float = RATE_HZ
    max_m: float = MAX_STEP_M
    max_rad: float = MAX_STEP_RAD


TABLETOP_STEPS: Final = ActionSteps()


@dataclass(frozen=True, slots=True, eq=False)
class JointTargets:
    """Joint positions in rad, shape ``(n,)``, and the gripper's opening (0 closed, 1 open)."""

    positions: Float64Array
    opening: float


class ArmController:
    """
    Turns actions into joint targets of an arm.

    An action has eight numbers: terminate (0 to 1), translation (m) and rotation vector (rad) of
    this step in ``base_link``, gripper opening (0 closed, 1 open).
    """

    def __init__(
        self,
        arm: ArmDescription,
        measured: Callable[[], mink.SE3],
        *,
        workspace: Workspace = WORKSPACE,
        steps: ActionSteps = TABLETOP_STEPS,
    ) -> None:
        """
        Control ``arm``.

        :param measured: tells the actual end-effector pose in ``base_link``.
        """
        self.measured = measured
        self._workspace = workspace
        self._steps = steps
        self._periods_per_action = max(1, round(1 / steps.rate_hz / CONTROL_PERIOD_SEC))
        self._solver = InverseKinematics(arm)
        self._target = self._reference = mink.SE3.identity()
        self._periods_left = 1
        self._opening = 1.0
        self._opening_reference = 1.0

    @property
    def target(self) -> mink.SE3:
        """Commanded end-effector pose in ``base_link``."""
        return self._target

    @property
    def arrived(self) -> bool:
        """Whether the joint targets have reached the commanded pose and opening."""
        gap = self._target.translation() - self._reference.translation()
        return (
            bool(np.linalg.norm(gap) < _ARRIVED_M)
            and self._periods_left == 1
            and self._opening == self._opening_reference
        )

    def place(self, position: Float64Array, yaw_rad: float, opening: float) -> JointTargets:
        """
        Command a pose with the tool pointing down, at once.

        The target is clamped to the workspace.
        """
        self._target = self._clamped(_tool_down(position, yaw_rad))
        self._reference, self._periods_left = self._target, 1
        self._opening = self._opening_reference = float(np.clip(opening, 0, 1))
        return JointTargets(self._solver.solve(self._target), self._opening_reference)

    def take_over(self, joints: Float64Array, opening: float) -> None:
        """Go on from where the arm stands, at rest; :attr:`measured` must tell the same."""
        self._solver.start_at(joints)
        self._target = self._reference = self.measured()
        self._periods_left = 1
        self._opening = self._opening_reference = opening

    def approach(self, pose: mink.SE3, *, m_per_sec: float, rad_per_sec: float) -> None:
        """Command a pose, clamped to the workspace, to be reached evenly at these speeds."""
        self._target = self._clamped(pose)
        gap = self._target.translation() - self._reference.translation()
        turn = (self._target.rotation() @ self._reference.rotation().inverse()).log()
        duration_sec = max(
            float(np.linalg.norm(gap)) / m_per_sec, float(np.linalg.norm(turn)) / rad_per_sec
        )
        self._periods_left = max(1, math.ceil(duration_sec / CONTROL_PERIOD_SEC))

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
        translation = np.clip(values[1:4], -self._steps.max_m, self._steps.max_m)
        rotation = np.clip(values[4:7], -self._steps.max_rad, self._steps.max_rad)
        wanted = mink.SE3.from_rotation_and_translation(
            mink.SO3.exp(rotation) @ self._target.rotation(),
            self._target.translation() + translation,
        )
        self._target = self._clamped(near(wanted, self.measured(), self._workspace))
        self._periods_left = self._periods_per_action

    def grip(self, opening: float) -> None:
        """Command a gripper opening (0 closed, 1 open)."""
        self._opening = float(np.clip(opening, 0, 1))

    def follow(self) -> JointTargets:
        """
        Advance the joint targets by one control period.

        The arm gets to its target evenly over the time of one action: steady actions make a
        steady motion, which a held block survives.
        """
        self._reference = _part_way(self._reference, self._target, 1 / self._periods_left)
        self._periods_left = max(1, self._periods_left - 1)
        step = _MAX_GRIPPER_SPEED_PER_SEC * CONTROL_PERIOD_SEC
        gap = self._opening - self._opening_reference
        self._opening_reference += float(np.clip(gap, -step, step))
        return JointTargets(self._solver.step(self._reference), self._opening_reference)

    def _clamped(self, pose: mink.SE3) -> mink.SE3:
        return within(pose, self._workspace)


def _tool_down(position: Float64Array, yaw_rad: float) -> mink.SE3:
    rotation = mink.SO3.exp(np.array([0.0, 0.0, yaw_rad])) @ TOOL_DOWN
    return mink.SE3.from_rotation_and_translation(rotation, position)


def _part_way(start: mink.SE3, end: mink.SE3, part: float) -> mink.SE3:
    turn = (end.rotation() @ start.rotation().inverse()).log()
    gap = end.translation() - start.translation()
    return mink.SE3.from_rotation_and_translation(
        mink.SO3.exp(part * turn) @ start.rotation(), start.translation() + part * gap
    )
