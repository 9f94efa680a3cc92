"""Differential inverse kinematics of an arm (mink, DAQP)."""

from __future__ import annotations

from typing import Final

import mink
import numpy as np

from sara_ros.sim.arm_description import ArmDescription
from sara_ros.sim.state import Float64Array

CONTROL_PERIOD_SEC: Final = 0.01
"""Time between two solutions."""

_JOINT_LIMIT_MARGIN_RAD: Final = 0.02
_FOLLOW_GAIN: Final = 0.8
_SOLVE_PERIOD_SEC: Final = 0.4
"""Pretended period for a jump to a far pose: the speed limit then allows 1 rad a solution."""


class InverseKinematics:
    """Differential inverse kinematics within joint position and speed limits."""

    def __init__(self, arm: ArmDescription) -> None:
        """Start at the home configuration."""
        model = arm.model
        self._joints = arm.addresses
        self._home = np.zeros(model.nq)
        self._home[self._joints] = arm.home_rad
        self._configuration = mink.Configuration(model, q=self._home)
        self._frame = mink.FrameTask(*arm.tip, position_cost=1.0, orientation_cost=0.3)
        posture = mink.PostureTask(model, cost=arm.posture_cost)
        posture.set_target(self._home)
        self._tasks = [self._frame, posture]
        self._limits = [
            mink.ConfigurationLimit(model, min_distance_from_limits=_JOINT_LIMIT_MARGIN_RAD),
            mink.VelocityLimit(model, arm.speed_limits),
        ]

    def step(self, target: mink.SE3) -> Float64Array:
        """Move one control period towards ``target``; return joint positions, shape (n,)."""
        return self._iterate(target, CONTROL_PERIOD_SEC, _FOLLOW_GAIN)

    def solve(self, target: mink.SE3) -> Float64Array:
        """Return joint positions at ``target``, from the home configuration, shape (n,)."""
        self._configuration.update(self._home)
        for _ in range(30):
            joints = self._iterate(target, _SOLVE_PERIOD_SEC, 1.0)
            if float(np.abs(self._frame.compute_error(self._configuration)).max()) < 1e-5:
                break
        return joints

    def start_at(self, joints: Float64Array) -> None:
        """Go on from joint positions, shape (n,)."""
        configuration = np.array(self._home)
        configuration[self._joints] = joints
        self._configuration.update(configuration)

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
        return np.array(self._configuration.q[self._joints])
