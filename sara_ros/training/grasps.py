"""How a block is grasped, from the simulator's state: what the grasp head learns."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from sara_ros.sim.scene import COLORS, TIP_BELOW_EE_M
from sara_ros.sim.state import WorldState

APPROACH: Final = (0.0, 0.0, -1.0)
"""The expert comes from straight above."""


def block_grasps(state: WorldState) -> NDArray[np.float32]:
    """
    Return the expert's grasp of each block of ``scene.COLORS``, ``(4, 7)``.

    That is the fingertips' position (m, ``base_link``), the direction they come along, and the
    roll about it in rad: with the end effector's point at the block's middle, fingers along its
    faces.
    """
    approach = np.array(APPROACH)
    rows = [
        (*(state.objects[color].position + approach * TIP_BELOW_EE_M), *approach,
         state.objects[color].yaw_rad)
        for color in COLORS
    ]  # fmt: skip
    return np.array(rows, np.float32)


__all__ = ['block_grasps']
