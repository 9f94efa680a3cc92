"""Suites by name: which tasks are played, and under which variations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from sara_ros.core import ParameterError
from sara_ros.sim.conditions import Conditions
from sara_ros.sim.pair_tasks import PAIR_VERBS, PairTask
from sara_ros.sim.scene import COLORS, SceneVariation, scene_for
from sara_ros.sim.state import WorldState
from sara_ros.sim.tasks import TASKS, TabletopTask
from sara_ros.sim.variations import VARIATIONS, check_variations, draw_conditions

SUITE_VERSION: Final = 1
"""Raised when a suite's episodes change, so that results of other episodes are not mixed in."""

SLOTS: Final = 32
"""Seeds set aside for one round of a suite; a slot has the same seeds in every suite."""

STACK_SLOT: Final = len(TASKS)
MOVE_SLOT: Final = STACK_SLOT + 1
STANDARD_SLOTS: Final = tuple(range(len(TASKS)))


@dataclass(frozen=True, slots=True)
class Suite:
    """
    Episodes of one kind.

    :param slots: indices of ``tasks.TASKS``, ``STACK_SLOT`` or ``MOVE_SLOT``.
    :param variations: names in ``variations.VARIATIONS``.
    """

    name: str
    slots: tuple[int, ...] = STANDARD_SLOTS
    variations: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check the names and the slots."""
        check_variations(self.variations)
        if not self.slots or not set(self.slots) <= set(range(MOVE_SLOT + 1)):
            raise ParameterError(f"suite '{self.name}': slots are 0 to {MOVE_SLOT}")

    @property
    def scene(self) -> SceneVariation:
        """What its worlds are built with."""
        return scene_for(self.variations)

    def task(self, slot: int, seed: int) -> TabletopTask:
        """Return the task of a slot; the colours of a task about two blocks are drawn."""
        if slot < len(TASKS):
            return TASKS[slot]
        rng = np.random.default_rng([seed, 8])
        first, second = rng.choice(len(COLORS), 2, replace=False)
        verbs = PAIR_VERBS[:1] if slot == STACK_SLOT else PAIR_VERBS[1:]
        return PairTask(verbs[rng.integers(len(verbs))], COLORS[first], COLORS[second])

    def conditions(self, seed: int, task: TabletopTask, state: WorldState) -> Conditions:
        """Return the conditions of the episode with ``seed`` that begins in ``state``."""
        return draw_conditions(self.variations, seed, task, state)


STANDARD_SUITE: Final = Suite('standard')
SUITES: Final = {
    suite.name: suite
    for suite in (
        STANDARD_SUITE,
        Suite('harder', (*STANDARD_SLOTS, STACK_SLOT, MOVE_SLOT), tuple(VARIATIONS)),
        *(Suite(name, variations=(name,)) for name in VARIATIONS),
        Suite('new-tasks', (STACK_SLOT, MOVE_SLOT)),
    )
}


def suite_named(name: str) -> Suite:
    """
    Return a suite.

    :raises ParameterError: for a name that is not in ``SUITES``.
    """
    if name not in SUITES:
        raise ParameterError(f"no suite '{name}'; known: {', '.join(SUITES)}")
    return SUITES[name]
