"""The success table: every model in every suite, and what differs on the same episodes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from rich.progress import Progress

from sara_ros.core import ParameterError
from sara_ros.evaluation.closed_loop import (
    FIRST_SEED,
    EvaluationConfig,
    measure,
    summarise_outcomes,
)
from sara_ros.evaluation.closed_loop_episode import Outcome
from sara_ros.evaluation.intervals import paired_difference
from sara_ros.evaluation.machine import describe_machine
from sara_ros.evaluation.piece_store import PieceStore
from sara_ros.evaluation.success_join import SCHEMA
from sara_ros.evaluation.success_models import Variant, control_of, find_variants
from sara_ros.sim.suites import STANDARD_SUITE, Suite
from sara_ros.training.progress import running

EPISODES: Final = 500
"""Least episodes of a row."""


@dataclass(frozen=True, slots=True)
class SuccessPlan:
    """
    What the table is made of.

    :param episodes: least episodes of a row; rounded up to whole rounds of its suite.
    :param policies: names of policies or models to leave in; all when empty.
    """

    models_dir: Path
    suites: tuple[Suite, ...]
    episodes: int = EPISODES
    policies: tuple[str, ...] = ()
    seats: int = 16
    device: str = 'cpu'


@dataclass(slots=True)
class _Row:
    variant: Variant
    config: EvaluationConfig
    outcomes: list[Outcome] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        return len(self.outcomes) == len(self.config.jobs)

    @property
    def successes(self) -> dict[tuple[int, int], bool]:
        """Success by slot and seed."""
        return {(each.slot, each.seed): each.success for each in self.outcomes}


def rounds_for(suite: Suite, episodes: int) -> int:
    """Return how many rounds of a suite make at least ``episodes``."""
    if episodes < 1:
        raise ParameterError(f'episodes is {episodes}; must be at least 1')
    return -(-episodes // len(suite.slots))


def measure_success(
    plan: SuccessPlan,
    store: PieceStore,
    progress: Progress | None = None,
    *,
    workers: int = 1,
    on_row: Callable[[dict[str, Any]], object] = lambda result: None,
) -> dict[str, Any]:
    """
    Play what is missing in ``store`` and return the table.

    :param on_row: called with the table of the rows done so far each time one is complete.
    :raises ParameterError: when there is no model to play.
    """
    variants, broken = find_variants(plan.models_dir)
    # Pages go to other machines, where this one's folders mean nothing.
    skipped = {
        name: reason.replace(str(plan.models_dir), plan.models_dir.name)
        for name, reason in broken.items()
    }
    chosen = [v for v in variants if not plan.policies or _named(v, plan.policies)]
    if not chosen:
        raise ParameterError(_none(plan, skipped))
    rows = list(_rows(plan, chosen))
    by_config = {id(row.config): row for row in rows}
    with running(progress) as bar:
        task = bar.add_task('episodes', total=sum(len(row.config.jobs) for row in rows))
        for config, outcomes in measure([row.config for row in rows], workers, store):
            row = by_config[id(config)]
            row.outcomes += outcomes
            bar.update(task, advance=len(outcomes), description=_title(row))
            if row.complete:
                on_row(table(rows, skipped))
    return table(rows, skipped)


def table(rows: Sequence[_Row], skipped: Mapping[str, str]) -> dict[str, Any]:
    """Return the JSON form of the rows that are complete."""
    done = [row for row in rows if row.complete]
    return {
        'schema': SCHEMA,
        'rows': [_described(row, done) for row in done],
        'skipped': dict(skipped),
        'machines': [describe_machine()],
    }


def _rows(plan: SuccessPlan, variants: Sequence[Variant]) -> Iterator[_Row]:
    for suite in plan.suites:
        for variant in variants:
            if suite.variations == ('depth-noise',) and not variant.sees_points:
                continue
            config = EvaluationConfig(
                plan.models_dir, variant.model_id, suite=suite,
                episodes=rounds_for(suite, plan.episodes), first_seed=FIRST_SEED,
                seats=plan.seats, identity=variant.identity, device=plan.device,
            )  # fmt: skip
            yield _Row(variant, config)


def _described(row: _Row, done: Sequence[_Row]) -> dict[str, Any]:
    variant, suite = row.variant, row.config.suite
    return {
        'policy': variant.policy,
        'backend': variant.backend,
        'model_id': variant.model_id,
        'sha256': variant.sha256,
        'suite': suite.name,
        **summarise_outcomes(row.outcomes),
        'seeds': list(row.config.seeds),
        'delay_steps': row.config.rules.delay,
        'max_steps': row.config.rules.max_steps,
        'machine': 0,
        'against_control': _against_control(row, done),
        'against_standard': _against_standard(row, done),
    }


def _against_control(row: _Row, done: Sequence[_Row]) -> dict[str, Any] | None:
    """Compare with the softmax model that had the same extra steps, on the same episodes."""
    same_suite = [other for other in done if other.config.suite == row.config.suite]
    control = control_of(row.variant, [other.variant for other in same_suite])
    other = next((each for each in same_suite if each.variant == control), None)
    return None if other is None else _difference(row, other)


def _against_standard(row: _Row, done: Sequence[_Row]) -> dict[str, Any] | None:
    """Compare with the same model in the standard suite, on the tasks that both have."""
    if row.config.suite == STANDARD_SUITE:
        return None
    same_model = [other for other in done if other.variant == row.variant]
    other = next((each for each in same_model if each.config.suite == STANDARD_SUITE), None)
    return None if other is None else _difference(row, other)


def _difference(row: _Row, other: _Row) -> dict[str, Any] | None:
    ours, theirs = row.successes, other.successes
    shared = sorted(ours.keys() & theirs.keys())
    if not shared:
        return None
    difference, ends = paired_difference([ours[k] for k in shared], [theirs[k] for k in shared])
    return {
        'model_id': other.variant.model_id,
        'suite': other.config.suite.name,
        'episodes': len(shared),
        'difference': round(difference, 4),
        'ci95': [round(end, 4) for end in ends],
        'paired': True,
    }


def _named(variant: Variant, names: Sequence[str]) -> bool:
    return variant.policy in names or variant.model_id in names


def _title(row: _Row) -> str:
    return f'{row.variant.model_id}, {row.config.suite.name}'


def _none(plan: SuccessPlan, skipped: Mapping[str, str]) -> str:
    why = '; '.join(f'{name}: {reason}' for name, reason in skipped.items())
    wanted = f' of {", ".join(plan.policies)}' if plan.policies else ''
    return f'no model{wanted} in {plan.models_dir} fits the tabletop' + (
        f' ({why})' if why else ''
    )
