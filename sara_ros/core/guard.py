"""The last check between a policy and the robot."""

from __future__ import annotations

import numpy as np

from sara_ros.core.action import FloatArray
from sara_ros.core.errors import ActionError
from sara_ros.core.spec import ActionSpec


class SafetyGuard:
    """Refuses actions that are not numbers and clips the others to the spec's ranges."""

    def __init__(self, spec: ActionSpec) -> None:
        """Guard actions of ``spec``."""
        self._spec = spec
        self._low = spec.low
        self._high = spec.high
        self.clipped_values = 0

    def check(self, action: FloatArray) -> FloatArray:
        """
        Return ``action`` within bounds, shape ``(dimensions,)``; every clip is counted.

        :raises ActionError: for a wrong number of dimensions, NaN or infinity.
        """
        if action.shape != self._low.shape:
            raise ActionError(
                f'action has shape {action.shape}; the spec has {len(self._low)} dimensions'
            )
        bad = ~np.isfinite(action)
        if bad.any():
            name = self._spec.names[int(np.argmax(bad))]
            raise ActionError(f"action dimension '{name}' is {action[bad][0]}")
        safe = np.clip(action, self._low, self._high)
        self.clipped_values += int(np.count_nonzero(safe != action))
        return safe
