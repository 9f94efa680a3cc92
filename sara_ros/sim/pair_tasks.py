"""Tasks about two blocks, none of the sixteen: stack one, or put one beside another."""

from __future__ import annotations

from dataclasses import dataclass
import re
from typing import Final

import numpy as np

from sara_ros.core import ParameterError
from sara_ros.sim.layout import RULES, Points
from sara_ros.sim.scene import BLOCK_HALF_M, COLORS
from sara_ros.sim.state import Float64Array, WorldState
from sara_ros.sim.tasks import THRESHOLDS, SuccessThresholds, TabletopTask, Task, released

PAIR_VERBS: Final = ('stack', 'left', 'right')

BESIDE_M: Final = 0.09
"""Distance of two blocks' centres that an expert aims at: open fingers fit between them."""

_WORDING: Final = {
    'stack': 'stack the {color} block on the {other} block',
    'left': 'move the {color} block left of the {other} block',
    'right': 'move the {color} block right of the {other} block',
}
_NAMES: Final = {
    'stack': 'stack one block on another',
    'left': 'move a block left of another',
    'right': 'move a block right of another',
}
_SIDES: Final = {'left': 1.0, 'right': -1.0}


@dataclass(frozen=True, slots=True)
class PairTask:
    """
    A verb of ``PAIR_VERBS``, the block to move, and the block it is about.

    Left and right are those of somebody who stands behind the robot: left is +y of ``base_link``.
    """

    verb: str
    color: str
    other: str

    def __post_init__(self) -> None:
        """Refuse verbs and colours that no predicate knows, and a block on itself."""
        known = {self.color, self.other} <= set(COLORS) and self.color != self.other
        if self.verb not in PAIR_VERBS or not known:
            raise ParameterError(
                f"no task '{self.verb}' for '{self.color}' and '{self.other}'; verbs: "
                f'{", ".join(PAIR_VERBS)}; two different colours of: {", ".join(COLORS)}'
            )

    @property
    def instruction(self) -> str:
        """The task in words."""
        return _WORDING[self.verb].format(color=self.color, other=self.other)

    @property
    def name(self) -> str:
        """The task in a report, whatever the colours."""
        return _NAMES[self.verb]

    def has_room(self, points: Points) -> bool:
        """Tell whether the goal is free, within reach, and not where the block is already."""
        if self.verb == 'stack':
            return True
        goal = np.add(points[self.other][:2], (0.0, _SIDES[self.verb] * BESIDE_M))
        gaps = [
            float(np.linalg.norm(points[color][:2] - goal))
            for color in COLORS
            if color != self.other
        ]
        return abs(float(goal[1])) <= RULES.block_high_m[1] and min(gaps) >= RULES.block_gap_m

    def goal(self, state: WorldState) -> Float64Array:
        """Return where the block's centre should come to be, in m, shape ``(3,)``."""
        place = np.array(state.objects[self.other].position)
        if self.verb == 'stack':
            place[2] += 2 * BLOCK_HALF_M
        else:
            place[1] += _SIDES[self.verb] * BESIDE_M
            place[2] = BLOCK_HALF_M
        return place

    def settled(self, state: WorldState, limits: SuccessThresholds = THRESHOLDS) -> bool:
        """Tell whether the block lies where it should, held or not."""
        block = state.objects[self.color].position
        gap = block - state.objects[self.other].position
        if self.verb == 'stack':
            aside = float(np.linalg.norm(gap[:2]))
            rise = abs(float(gap[2]) - 2 * BLOCK_HALF_M)
            return aside < limits.stacked_aside_m and rise < limits.stacked_height_m
        beside = _SIDES[self.verb] * float(gap[1])
        return bool(
            limits.beside_near_m < beside < limits.beside_far_m
            and abs(gap[0]) < limits.beside_askew_m
            and block[2] - BLOCK_HALF_M < limits.resting_height_m
        )

    def success(self, state: WorldState, limits: SuccessThresholds = THRESHOLDS) -> bool:
        """
        Tell whether the task is accomplished in ``state``.

        stack: the block lies on the other. left, right: the block lies on the table on that side
        of the other, no farther than ``beside_far_m`` and hardly in front of it or behind. The
        gripper has let go and is clear of it.
        """
        return self.settled(state, limits) and released(state, self.color, limits)


PAIR_TASKS: Final = tuple(
    PairTask(verb, color, other)
    for verb in PAIR_VERBS
    for color in COLORS
    for other in COLORS
    if color != other
)
_BY_INSTRUCTION: Final = {task.instruction: task for task in PAIR_TASKS}


def parse_task(instruction: str) -> TabletopTask:
    """
    Read an instruction of the sixteen, or one about two blocks.

    :raises ParameterError: naming examples when it is none of them.
    """
    words = re.sub(r'\s+', ' ', instruction).strip().rstrip('.').lower()
    return _BY_INSTRUCTION.get(words) or Task.parse(instruction)
