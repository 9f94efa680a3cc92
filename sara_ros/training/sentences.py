"""The sentences that tell a learner what to do, and which of them it is told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import torch
from torch import Tensor

from sara_ros.policies.pct_config import PCTConfig
from sara_ros.policies.rt2_config import RT2Config
from sara_ros.policies.words import Vocabulary
from sara_ros.sim.tasks import INSTRUCTIONS

Sentences = Sequence[Sequence[str]]
"""By the index of ``tasks.TASKS``: the task's instruction, then others; as many for each."""

INSTRUCTED: Final[Sentences] = tuple((instruction,) for instruction in INSTRUCTIONS)


def encoded(config: RT2Config | PCTConfig, sentences: Sentences) -> Tensor:
    """Return ``(tasks, sentences, max_words)`` word indices."""
    vocabulary = Vocabulary(config.vocabulary, config.max_words)
    return torch.stack([
        torch.stack([vocabulary.encode(text) for text in texts]) for texts in sentences
    ])  # fmt: skip


def sample_words(
    words: Tensor, tasks: Tensor, rows: Sequence[int], rng: np.random.Generator
) -> Tensor:
    """
    Return a sentence ``(B, I, max_words)`` for each task; half of them are the instruction.

    :param words: what :func:`encoded` returns, ``(tasks, sentences, max_words)``.
    :param tasks: indices ``(B, I)``.
    :param rows: the ``B`` frames that they are about.
    """
    count = words.shape[1]
    if count == 1:
        return words[tasks, 0]
    seed = int(rng.integers(1 << 32))
    # Drawn by row, so that processes which share a batch draw as one would.
    drawn = np.stack([
        np.random.default_rng([seed, int(row)]).integers(2 - count, count, tasks.shape[1])
        for row in rows
    ])  # fmt: skip
    return words[tasks, torch.from_numpy(drawn.clip(0)).to(tasks)]
