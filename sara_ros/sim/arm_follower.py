"""Makes a real arm, or one of another simulator, obey end-effector actions."""

from __future__ import annotations

from typing import Any, Final

import mink
import mujoco
import numpy as np
from numpy.typing import NDArray

from sara_ros.core import ActionError
from sara_ros.sim.arm import TABLETOP_STEPS, ActionSteps, ArmController, JointTargets
from sara_ros.sim.arm_description import ArmDescription
from sara_ros.sim.state import Float64Array
from sara_ros.sim.workspace import WORKSPACE, Workspace

NS: Final = 1_000_000_000
RESUME_RAD: Final = 0.05
"""Joints so close to the last targets go on from these, so that pauses add up to no sag."""


class ArmFollower:
    """
    Joint targets from actions and measured joint positions, for an arm driven by position.

    It gives no target before the first command, moves by one command's displacement at most when
    commands stop, and falls silent ``idle_sec`` after the last one: whoever drives the joints
    holds the last target. Without a measured position of the last ``state_timeout_sec`` it falls
    silent at once.
    """

    def __init__(
        self,
        arm: ArmDescription,
        *,
        workspace: Workspace = WORKSPACE,
        steps: ActionSteps = TABLETOP_STEPS,
        idle_sec: float = 1.0,
        state_timeout_sec: float = 0.2,
    ) -> None:
        """Wait for the first joint positions."""
        self._arm = arm
        self._data = mujoco.MjData(arm.model)
        self._addresses = arm.addresses
        self._controller = ArmController(
            arm, lambda: arm.tip_pose(self._data), workspace=workspace, steps=steps
        )
        self._idle_ns = int(idle_sec * NS)
        self._state_timeout_ns = int(state_timeout_sec * NS)
        self._seen_ns: int | None = None
        self._opening = 1.0
        self._last: JointTargets | None = None
        self._until_ns = 0
        self.moving = False

    @property
    def tip(self) -> mink.SE3:
        """The end-effector pose of the newest joint positions."""
        return self._arm.tip_pose(self._data)

    def saw(self, joints: Float64Array, opening: float | None, now_ns: int) -> None:
        """
        Take measured joint positions, in the order of the arm's joints.

        :param opening: of the gripper, 0 to 1; ``None`` when it is not measured.
        """
        self._data.qpos[self._addresses] = joints
        mujoco.mj_kinematics(self._arm.model, self._data)
        self._seen_ns = now_ns
        if opening is not None:
            self._opening = float(np.clip(opening, 0, 1))

    def obey(self, action: NDArray[Any], now_ns: int) -> None:
        """
        Take one action.

        :raises ActionError: when it does not have eight finite numbers, or without fresh joints.
        """
        self._begin(now_ns)
        self._controller.apply(action)
        self._until_ns = now_ns + self._idle_ns

    def approach(
        self, pose: mink.SE3, opening: float, now_ns: int, *, m_per_sec: float, rad_per_sec: float
    ) -> None:
        """
        Go to a pose of the workspace at these speeds; the next action takes over.

        :raises ActionError: without fresh joints.
        """
        self._begin(now_ns)
        self._controller.grip(opening)
        self._controller.approach(pose, m_per_sec=m_per_sec, rad_per_sec=rad_per_sec)
        self._until_ns = now_ns + self._idle_ns

    def targets(self, now_ns: int) -> JointTargets | None:
        """
        Return the targets of this control period; ``None`` while nothing is to be sent.

        :raises ActionError: when the joints are where no motion respects their limits.
        """
        if not self.moving:
            return None
        if not self._fresh(now_ns):
            self.moving = False
            return None
        try:
            self._last = self._controller.follow()
        except mink.NoSolutionFound as err:
            self.moving, self._last = False, None
            raise ActionError(
                'no motion keeps the arm within its limits; bring its joints back inside them'
            ) from err
        if now_ns > self._until_ns and self._controller.arrived:
            self.moving = False
        return self._last

    def _begin(self, now_ns: int) -> None:
        if not self._fresh(now_ns):
            raise ActionError(
                'no joint positions of the last '
                f'{self._state_timeout_ns / NS:g} s; check joint_states_topic and joints'
            )
        if self.moving:
            return
        joints = np.array(self._data.qpos[self._addresses])
        last = self._last
        if last is None or np.abs(last.positions - joints).max() > RESUME_RAD:
            opening = self._opening if last is None else last.opening
            self._controller.take_over(joints, opening)
        self.moving = True

    def _fresh(self, now_ns: int) -> bool:
        return self._seen_ns is not None and now_ns - self._seen_ns <= self._state_timeout_ns
