"""The sixteen instructions and what counts as having followed each."""

from __future__ import annotations

from dataclasses import dataclass
import re
from typing import Final, Protocol

import numpy as np

from sara_ros.core import ParameterError
from sara_ros.sim.layout import Points, corridor_clear
from sara_ros.sim.scene import BLOCK_HALF_M, COLORS, DISC
from sara_ros.sim.state import WorldState

VERBS: Final = ('reach', 'push', 'lift', 'place')

_WORDING: Final = {
    'reach': 'reach the {color} block',
    'push': 'push the {color} block to the disc',
    'lift': 'lift the {color} block',
    'place': 'place the {color} block on the disc',
}


@dataclass(frozen=True, slots=True)
class SuccessThresholds:
    """Distances in m, opening from 0 to 1; see :meth:`TabletopTask.success`."""

    reach_horizontal_m: float = 0.02
    reach_vertical_m: float = 0.025
    lift_height_m: float = 0.06
    held_distance_m: float = 0.035
    on_disc_m: float = 0.035
    resting_height_m: float = 0.006
    pushed_height_m: float = 0.015
    released_opening: float = 0.65
    released_clearance_m: float = 0.03
    stacked_aside_m: float = 0.018
    stacked_height_m: float = 0.008
    beside_near_m: float = 0.045
    beside_far_m: float = 0.130
    beside_askew_m: float = 0.035


THRESHOLDS: Final = SuccessThresholds()


class TabletopTask(Protocol):
    """What a world, a suite and an expert need to know of a task."""

    @property
    def verb(self) -> str:
        """What is to be done."""
        ...

    @property
    def color(self) -> str:
        """The block it is done with, one of ``scene.COLORS``."""
        ...

    @property
    def instruction(self) -> str:
        """The task in words."""
        ...

    @property
    def name(self) -> str:
        """The task in a report; tasks that are reported together share it."""
        ...

    def has_room(self, points: Points) -> bool:
        """Tell whether the task can be done when objects stand at ``points``."""
        ...

    def success(self, state: WorldState, limits: SuccessThresholds = THRESHOLDS) -> bool:
        """Tell whether the task is accomplished in ``state``."""
        ...


@dataclass(frozen=True, slots=True)
class Task:
    """A verb of ``VERBS`` and the block of ``scene.COLORS`` it is about."""

    verb: str
    color: str

    def __post_init__(self) -> None:
        """Refuse verbs and colours that no predicate knows."""
        if self.verb not in VERBS or self.color not in COLORS:
            raise ParameterError(
                f"no task '{self.verb}' for '{self.color}'; verbs: {', '.join(VERBS)}; "
                f'colours: {", ".join(COLORS)}'
            )

    @property
    def instruction(self) -> str:
        """The task in words."""
        return _WORDING[self.verb].format(color=self.color)

    @property
    def name(self) -> str:
        """The task in a report."""
        return self.instruction

    def has_room(self, points: Points) -> bool:
        """Tell whether the way of a block to be pushed is clear; other tasks always have room."""
        return self.verb != 'push' or corridor_clear(points, self.color)

    @classmethod
    def parse(cls, instruction: str) -> Task:
        """
        Read an instruction, whatever its case, spacing or final full stop.

        :raises ParameterError: naming examples when it is none of the sixteen.
        """
        words = re.sub(r'\s+', ' ', instruction).strip().rstrip('.').lower()
        task = _BY_INSTRUCTION.get(words)
        if task is None:
            examples = ', '.join(f"'{TASKS[index].instruction}'" for index in (0, 5, 10, 15))
            raise ParameterError(f"unknown instruction '{instruction}'; try {examples}")
        return task

    def success(self, state: WorldState, limits: SuccessThresholds = THRESHOLDS) -> bool:
        """
        Tell whether the task is accomplished in ``state``.

        reach: the point between the pads is at the block. push: the block lies on the disc and
        was never lifted. lift: the held block is clear of the table. place: the block lies on
        the disc, the gripper is open and clear of it.
        """
        if self.verb == 'reach':
            return self._reached(state, limits)
        if self.verb == 'lift':
            return self._lifted(state, limits)
        peak = state.peak_heights_m.get(self.color, 0.0) - BLOCK_HALF_M
        if self.verb == 'push':
            return self._on_disc(state, limits) and peak < limits.pushed_height_m
        return self._on_disc(state, limits) and released(state, self.color, limits)

    def _reached(self, state: WorldState, limits: SuccessThresholds) -> bool:
        gap = state.ee.position - state.objects[self.color].position
        return bool(
            np.linalg.norm(gap[:2]) < limits.reach_horizontal_m
            and abs(gap[2]) < limits.reach_vertical_m
        )

    def _lifted(self, state: WorldState, limits: SuccessThresholds) -> bool:
        block = state.objects[self.color].position
        return bool(
            block[2] - BLOCK_HALF_M > limits.lift_height_m
            and np.linalg.norm(state.ee.position - block) < limits.held_distance_m
        )

    def _on_disc(self, state: WorldState, limits: SuccessThresholds) -> bool:
        gap = state.objects[self.color].position - state.objects[DISC].position
        height = state.objects[self.color].position[2] - BLOCK_HALF_M
        return bool(
            np.linalg.norm(gap[:2]) < limits.on_disc_m and height < limits.resting_height_m
        )


def released(state: WorldState, color: str, limits: SuccessThresholds) -> bool:
    """Tell whether the gripper is open and clear of a block."""
    rise = state.ee.position[2] - state.objects[color].position[2]
    return bool(
        state.gripper_opening > limits.released_opening and rise > limits.released_clearance_m
    )


TASKS: Final = tuple(Task(verb, color) for verb in VERBS for color in COLORS)
INSTRUCTIONS: Final = tuple(task.instruction for task in TASKS)
_BY_INSTRUCTION: Final = {task.instruction: task for task in TASKS}
