"""Conditions of training scenes: each variation is on in half of them, milder than in a suite."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from sara_ros.sim.conditions import Conditions
from sara_ros.sim.scene import STANDARD_SCENE, VARIED_SCENE, SceneVariation
from sara_ros.sim.state import WorldState
from sara_ros.sim.tasks import INSTRUCTIONS, Task
from sara_ros.sim.variations import TRAINING_RANGES, draw_conditions
from sara_ros.sim.wordings import learned_wordings
from sara_ros.training.told import INSTRUCTED, Wordings

SHARE: Final = 0.5
"""Share of scenes with a variation; each is drawn by itself, so that some scenes have none."""


def training_conditions(
    variations: Sequence[str], seed: int, task: Task, state: WorldState
) -> Conditions:
    """
    Return the conditions of the training scene with ``seed``; the usual ones without variations.

    :raises ParameterError: for an unknown variation.
    """
    rng = np.random.default_rng([seed, 3])
    chosen = [name for name in variations if rng.random() < SHARE]
    return draw_conditions(chosen, seed, task, state, TRAINING_RANGES)


def training_scene(variations: Sequence[str]) -> SceneVariation:
    """Return what worlds for ``variations`` are built with."""
    return VARIED_SCENE if 'distractors' in variations else STANDARD_SCENE


def training_wordings(variations: Sequence[str]) -> Wordings:
    """Return the sentences of each task."""
    return learned_wordings() if 'paraphrase' in variations else INSTRUCTED


def training_instructions(variations: Sequence[str]) -> tuple[str, ...]:
    """Return all sentences that are trained on, the tasks' own instructions first."""
    others = (text for _, *texts in training_wordings(variations) for text in texts)
    return (*INSTRUCTIONS, *others)
