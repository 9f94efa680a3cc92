"""The tabletop's action: eight numbers, their ranges and their rate."""

from __future__ import annotations

from typing import Final

from sara_ros.core import ActionDimension, ActionSpec
from sara_ros.core.spec import END_EFFECTOR_DIMENSIONS
from sara_ros.sim.scene import BASE_FRAME

RATE_HZ: Final = 20.0
"""Actions per second."""

MAX_STEP_M: Final = 0.03
MAX_STEP_RAD: Final = 0.15
"""Largest displacement of one action, per axis."""


def tabletop_action() -> ActionSpec:
    """Return the spec of an end-effector action within the arm's ranges."""
    units = ('', *('m',) * 3, *('rad',) * 3, '')
    reach = (1.0, *(MAX_STEP_M,) * 3, *(MAX_STEP_RAD,) * 3, 1.0)
    dimensions = tuple(
        ActionDimension(name, unit, 0.0 if unit == '' else -limit, limit)
        for name, unit, limit in zip(END_EFFECTOR_DIMENSIONS, units, reach, strict=True)
    )
    return ActionSpec('end_effector_delta', dimensions, BASE_FRAME, RATE_HZ)
