"""Conditions of training scenes: each variation is on in half of them, milder than in a suite."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

import numpy as np

from sara_ros.sim.conditions import Conditions
from sara_ros.sim.state import WorldState
from sara_ros.sim.tasks import INSTRUCTIONS, Task
from sara_ros.sim.variations import (
    TRAINING_RANGES,
    VARIATIONS,
    check_variations,
    draw_conditions,
)
from sara_ros.sim.wordings import learned_sentences
from sara_ros.training.sentences import INSTRUCTED, Sentences

SHARE: Final = 0.5
"""Share of scenes with a variation; each is drawn by itself, so that some scenes have none."""


def training_conditions(
    variations: Sequence[str], seed: int, task: Task, state: WorldState
) -> Conditions:
    """
    Return the conditions of the training scene with ``seed``; the usual ones without variations.

    :raises ParameterError: for an unknown variation.
    """
    check_variations(variations)
    # Each has a coin of its own, so that it falls the same whichever others are on.
    coins = np.random.default_rng([seed, 3]).random(len(VARIATIONS)) < SHARE
    chosen = [
        name for name, on in zip(VARIATIONS, coins, strict=True) if on and name in variations
    ]
    return draw_conditions(chosen, seed, task, state, TRAINING_RANGES)


def variations_of(training: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the variations that ``training`` of a ``policy.json`` states."""
    return tuple(training.get('variations', ()))


def variation_settings(variations: Sequence[str]) -> dict[str, Any]:
    """Return what varied frames depend on, as JSON values."""
    ranges = {'ranges': asdict(TRAINING_RANGES)} if variations else {}
    return {'variations': list(variations), **ranges}


def training_sentences(variations: Sequence[str]) -> Sentences:
    """Return the sentences of each task."""
    return learned_sentences() if 'paraphrase' in variations else INSTRUCTED


def training_instructions(variations: Sequence[str]) -> tuple[str, ...]:
    """Return all sentences that are trained on, the tasks' own instructions first."""
    others = (text for _, *texts in training_sentences(variations) for text in texts)
    return (*INSTRUCTIONS, *others)
