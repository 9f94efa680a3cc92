"""Closed-loop success of policies on the tabletop, on seeds that no training uses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
import time
from typing import Any, Final

import numpy as np
from rich.progress import Progress

from sara_ros.core import ParameterError
from sara_ros.evaluation.closed_loop_episode import RULES, Job, Outcome, Rules
from sara_ros.evaluation.closed_loop_workers import Piece, play_pieces
from sara_ros.evaluation.intervals import wilson_interval
from sara_ros.evaluation.piece_store import PieceStore
from sara_ros.sim.suites import SLOTS, STANDARD_SUITE, SUITE_VERSION, Suite
from sara_ros.training.progress import running
from sara_ros.training.scenes import DAGGER_SEEDS, HELD_OUT_SEEDS, TRAINING_SEEDS

FIRST_SEED: Final = 500_000
"""Reported results use this seed and those after it, below ``CHOICE_SEEDS``."""

CHOICE_SEEDS: Final = 1_000_000
"""First seed for choosing checkpoints and settings, whose results are never reported."""

PIECE_EPISODES: Final = 64
"""Episodes that are played together and stored as one file."""


@dataclass(frozen=True, slots=True)
class EvaluationConfig:
    """
    One row: a model in a suite.

    :param attention_backend: serve with another backend than the model's; empty for its own.
    :param episodes: episodes of each slot of the suite.
    :param seats: episodes under way at once, whose observations share one pass of the network.
    :param identity: of the model, for results that are kept; see :class:`success_models.Variant`.
    :param device: of torch.
    """

    models_dir: Path
    model_id: str
    attention_backend: str = ''
    suite: Suite = STANDARD_SUITE
    episodes: int = 15
    first_seed: int = FIRST_SEED
    rules: Rules = RULES
    seats: int = 16
    identity: str = ''
    device: str = 'cpu'

    def __post_init__(self) -> None:
        """Check the numbers, and that no training sees the seeds."""
        for name in ('episodes', 'seats'):
            if getattr(self, name) < 1:
                raise ParameterError(f'{name} is {getattr(self, name)}; must be at least 1')
        check_seeds(*self.seeds)

    @property
    def seeds(self) -> tuple[int, int]:
        """First and last seed."""
        return self.first_seed, self.first_seed + self.episodes * SLOTS - 1

    @property
    def jobs(self) -> list[Job]:
        """All episodes; a slot has the same seeds in every suite, so that results pair."""
        return [
            Job(slot, self.first_seed + index * SLOTS + slot)
            for index in range(self.episodes)
            for slot in self.suite.slots
        ]

    @property
    def pieces(self) -> list[Piece]:
        """The episodes in parts; how many episodes there are does not change the first parts."""
        jobs = self.jobs
        return [
            Piece(
                self.models_dir, self.model_id, self.attention_backend, self.suite, self.rules,
                self.seats, self.device, tuple(jobs[start : start + PIECE_EPISODES]),
            )
            for start in range(0, len(jobs), PIECE_EPISODES)
        ]  # fmt: skip

    @property
    def key(self) -> dict[str, Any]:
        """What an episode's outcome depends on besides slot and seed."""
        return {
            'model_id': self.model_id, 'identity': self.identity,
            'attention_backend': self.attention_backend, 'suite': self.suite.name,
            'slots': list(self.suite.slots), 'variations': list(self.suite.variations),
            'suite_version': SUITE_VERSION, 'first_seed': self.first_seed,
            'delay': self.rules.delay, 'max_steps': self.rules.max_steps, 'seats': self.seats,
            **({} if self.device == 'cpu' else {'device': self.device}),
        }  # fmt: skip


def check_seeds(first: int, last: int) -> None:
    """
    Check that seeds are evaluation's and nobody else's.

    :raises ParameterError: naming whose they are, or where evaluation's end.
    """
    taken = min(TRAINING_SEEDS, HELD_OUT_SEEDS, DAGGER_SEEDS)
    limit = CHOICE_SEEDS if first < CHOICE_SEEDS else taken
    if first < FIRST_SEED or last >= limit:
        raise ParameterError(
            f'seeds {first} to {last} are not free: results use {FIRST_SEED} to '
            f'{CHOICE_SEEDS - 1}, the choice of checkpoints {CHOICE_SEEDS} to {taken - 1}, and '
            'data collections the rest; take fewer episodes or another first seed'
        )


def evaluate(
    config: EvaluationConfig,
    progress: Progress | None = None,
    *,
    workers: int = 1,
    store: PieceStore | None = None,
) -> dict[str, Any]:
    """
    Run all episodes and return success by task, by verb and in all, with Wilson 95 % intervals.

    :raises ParameterError: for a policy that does not fit the tabletop.
    """
    outcomes: list[Outcome] = []
    began = time.monotonic()
    with running(progress) as bar:
        task = bar.add_task(_title(config), total=len(config.jobs))
        for _, some in measure([config], workers, store):
            outcomes += some
            bar.advance(task, len(some))
    return {**describe_row(config, outcomes), 'seconds': round(time.monotonic() - began, 1)}


def measure(
    configs: Sequence[EvaluationConfig], workers: int = 1, store: PieceStore | None = None
) -> Iterator[tuple[EvaluationConfig, list[Outcome]]]:
    """
    Play every row's episodes and yield them part by part, those that ``store`` holds at once.

    What is played is stored before it is yielded, so an interrupted run goes on where it was.
    """
    missing: list[Piece] = []
    owners: list[tuple[EvaluationConfig, int]] = []
    for config in configs:
        for index, piece in enumerate(config.pieces):
            kept = store.get(config.key, index, piece.jobs) if store else None
            if kept is not None:
                yield config, kept
                continue
            missing.append(piece)
            owners.append((config, index))
    for number, outcomes in play_pieces(missing, workers):
        config, index = owners[number]
        if store is not None:
            store.put(config.key, index, outcomes)
        yield config, outcomes


def describe_row(config: EvaluationConfig, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Return the row of ``outcomes``."""
    return {
        'policy': config.model_id,
        'attention_backend': config.attention_backend or 'as trained',
        'suite': config.suite.name,
        'seeds': list(config.seeds),
        'delay_steps': config.rules.delay,
        'max_steps': config.rules.max_steps,
        **summarise_outcomes(outcomes),
    }


def summarise_outcomes(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Return the counts of ``outcomes`` in all, by verb and by task."""
    return {
        **_counts(outcomes),
        'per_verb': _grouped(outcomes, 'verb'),
        'per_task': _grouped(outcomes, 'task'),
        'terminated': sum(outcome.terminated for outcome in outcomes),
        'median_steps': float(np.median([outcome.steps for outcome in outcomes])),
    }


def _grouped(outcomes: Sequence[Outcome], name: str) -> dict[str, Any]:
    groups: dict[str, list[Outcome]] = {}
    for outcome in sorted(outcomes, key=lambda each: each.slot):
        groups.setdefault(getattr(outcome, name), []).append(outcome)
    return {key: _counts(some) for key, some in groups.items()}


def _counts(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    successes = sum(outcome.success for outcome in outcomes)
    low, high = wilson_interval(successes, len(outcomes))
    return {
        'success': round(successes / len(outcomes), 4),
        'successes': successes,
        'episodes': len(outcomes),
        'ci95': [round(low, 4), round(high, 4)],
    }


def _title(config: EvaluationConfig) -> str:
    return f'evaluate {config.model_id}, {config.suite.name}'
