"""Joint positions to the trajectories that a joint_trajectory_controller takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from sara_ros.core import ActionError
from sara_ros.core.action import FloatArray
from sara_ros.nodes.ros_time import NS, to_duration


def encode_positions(
    joints: Sequence[str], positions: NDArray[Any], *, period_sec: float
) -> JointTrajectory:
    """
    Return positions ``(N, joints)``, ``period_sec`` apart, without velocities.

    The stamp is zero, which means at once: a controller refuses a trajectory whose stamp it
    finds in the past. The first position is due one period after the start.
    """
    message = JointTrajectory(joint_names=list(joints))
    message.points = [
        JointTrajectoryPoint(
            positions=[float(value) for value in row],
            time_from_start=to_duration(round((index + 1) * period_sec * NS)),
        )
        for index, row in enumerate(positions)
    ]
    return message


def decode_command(message: Any) -> tuple[tuple[str, ...], FloatArray, float]:
    """
    Return joint names, target positions and the period in seconds of a policy's command.

    :raises ActionError: when it is not one point with a position for every name and a duration.
    """
    if len(message.points) != 1:
        raise ActionError(f'expected a trajectory of one point, got {len(message.points)}')
    point = message.points[0]
    names = tuple(message.joint_names)
    duration = point.time_from_start
    period_sec = duration.sec + duration.nanosec / NS
    if not names or len(point.positions) != len(names) or period_sec <= 0:
        raise ActionError(
            f'a point with {len(point.positions)} positions for {len(names)} joints in '
            f'{period_sec:g} s is no command'
        )
    return names, np.asarray(point.positions, np.float32), period_sec
