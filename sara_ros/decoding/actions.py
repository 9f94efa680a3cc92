"""Action messages to vectors."""

from __future__ import annotations

from typing import Any

import numpy as np

from sara_ros.core.action import FloatArray


def decode_action(message: Any) -> FloatArray:
    """Return the command as an action vector, in the order of an end-effector action."""
    linear, angular = message.delta.linear, message.delta.angular
    return np.array(
        [
            message.terminate,
            linear.x, linear.y, linear.z,
            angular.x, angular.y, angular.z,
            message.gripper_opening,
        ],
        np.float32,
    )  # fmt: skip
