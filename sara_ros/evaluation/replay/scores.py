"""What the numbers of a replay say: errors beside trivial baselines, smoothness, ages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sara_ros.decoding.stamps import NS
from sara_ros.evaluation.replay.replay import Replayed
from sara_ros.evaluation.samples import percentiles_of

Floats = NDArray[np.float64]

STATEMENT: Final = (
    'Open-loop error is not success: the recording does not react to the actions, so a policy '
    'with a small error can fail on the robot and one with a large error can succeed. Only '
    'closed-loop runs tell.'
)
BASELINES: Final = ('training_mean', 'copy_state', 'copy_previous_action')


def scores_of(
    replayed: Replayed, rate_hz: float, training_mean: tuple[str, Floats] | None = None
) -> dict[str, Any]:
    """
    Return everything a replay says, ready for JSON.

    All of it but ``measured`` is the same on every machine that computes the same actions.

    :param rate_hz: rate that ``measured`` counts deadline misses at.
    :param training_mean: where the mean action comes from, and its values ``(dimensions,)``.
    """
    trace = replayed.trace
    dimensions = len(trace.spec.action.names)
    chosen = int(trace.chosen.sum())
    wanted, predicted, baselines, mean_from = _compared(replayed, training_mean)
    return {
        'observations': trace.received,
        'chunks': len(trace.chunks),
        'commands': chosen,
        'holds': trace.in_run_holds,
        'runs': dict(sorted(trace.ends.items())),
        'dropped': trace.drops,
        'dropped_on': _topics_of_drops(replayed),
        'clipped_share': _share(trace.clipped_values, chosen * dimensions),
        'observation_age_ms': percentiles_of(_ages_ms(replayed)),
        'training_mean_from': mean_from,
        'error': _errors(replayed, wanted, predicted, baselines),
        'smoothness': _smoothness(replayed),
        'actions_sha256': trace.sha256(),
        'measured': _measured(replayed, rate_hz),
    }


def reference_times_ns(replayed: Replayed) -> NDArray[np.int64]:
    """Return the instant each chosen command was meant for: its observation's, plus its step."""
    trace = replayed.trace
    stamps = np.array(trace.stamps_ns, np.int64)[trace.chosen]
    return stamps + np.array(trace.steps, np.int64)[trace.chosen] * replayed.recorded.period_ns


def _topics_of_drops(replayed: Replayed) -> dict[str, list[str]]:
    """Return the topics by reason, where they are known."""
    trace, topics = replayed.trace, replayed.topics
    known = {'superseded': topics[trace.spec.driver.name]}
    known.update((f'missing_{name}', topic) for name, topic in topics.items())
    found = {reason: [known[reason]] for reason in trace.drops if reason in known}
    for each in trace.problems:
        if each.reason in trace.drops and each.topic not in found.setdefault(each.reason, []):
            found[each.reason].append(each.topic)
    return dict(sorted(found.items()))


def _compared(
    replayed: Replayed, given: tuple[str, Floats] | None
) -> tuple[Floats, Floats, dict[str, Floats], str]:
    """Return recorded and predicted actions, each baseline's prediction, and the mean's origin."""
    trace, recorded = replayed.trace, replayed.recorded
    seen_ns = np.array(trace.stamps_ns, np.int64)[trace.chosen]
    wanted = recorded.at(reference_times_ns(replayed))
    previous = recorded.at(seen_ns - recorded.period_ns)
    origin, mean = given or ('this recording itself', _mean(wanted))
    return wanted, trace.values[trace.chosen], {
        'training_mean': np.broadcast_to(mean, wanted.shape),
        'copy_state': _copied_state(replayed, seen_ns, previous),
        'copy_previous_action': previous,
    }, origin  # fmt: skip


def _copied_state(replayed: Replayed, seen_ns: NDArray[np.int64], previous: Floats) -> Floats:
    """Return joints where they are; for an end effector, no motion and the gripper as before."""
    trace = replayed.trace
    if trace.spec.action.kind == 'end_effector_delta':
        still = np.zeros_like(previous)
        still[:, -1] = previous[:, -1]
        return still
    places = {stamp: row for row, stamp in enumerate(trace.chunk_stamps_ns)}
    states = trace.state_matrix()
    rows = [places.get(int(stamp), -1) for stamp in seen_ns]
    # A chunk that came after the end of its run has no command, so rows are never missing.
    return states[rows] if len(states) else np.full_like(previous, np.nan)


def _mean(values: Floats) -> Floats:
    known = ~np.isnan(values)
    total = np.where(known, values, 0).sum(axis=0)
    return np.where(known.any(axis=0), total / np.maximum(known.sum(axis=0), 1), np.nan)


def _errors(
    replayed: Replayed, wanted: Floats, predicted: Floats, baselines: Mapping[str, Floats]
) -> dict[str, Any]:
    spec = replayed.trace.spec.action
    gaps = {'policy': predicted - wanted}
    gaps.update({name: values - wanted for name, values in baselines.items()})
    span = (spec.high - spec.low).astype(np.float64)
    rows = []
    for index, dimension in enumerate(spec.dimensions):
        row: dict[str, Any] = {'name': dimension.name, 'unit': dimension.unit}
        row['count'] = int((~np.isnan(gaps['policy'][:, index])).sum())
        row['range'] = [dimension.low, dimension.high]
        row['root_mean_square'] = _rms(gaps['policy'][:, index])
        row.update({name: _absolute(gap[:, index]) for name, gap in gaps.items()})
        rows.append(row)
    return {
        'compared': int((~np.isnan(gaps['policy'])).any(axis=1).sum()),
        'mean_absolute': {name: _absolute(gap) for name, gap in gaps.items()},
        'share_of_range': {name: _absolute(gap / span) for name, gap in gaps.items()},
        'dimensions': rows,
    }


def _absolute(gaps: Floats) -> float | None:
    known = gaps[~np.isnan(gaps)]
    return round(float(np.abs(known).mean()), 9) if known.size else None


def _rms(gaps: Floats) -> float | None:
    known = gaps[~np.isnan(gaps)]
    return round(float(np.sqrt((known**2).mean())), 9) if known.size else None


def _smoothness(replayed: Replayed) -> dict[str, Any]:
    """Return mean absolute first and second differences of commands that follow each other."""
    trace = replayed.trace
    wanted = replayed.recorded.at(reference_times_ns(replayed))
    predicted = trace.values[trace.chosen]
    span = (trace.spec.action.high - trace.spec.action.low).astype(np.float64)
    return {
        name: {'change': _absolute(first), 'change_of_change': _absolute(np.diff(first, axis=0))}
        for name, first in (
            ('policy', np.diff(predicted / span, axis=0)),
            ('recorded', np.diff(wanted / span, axis=0)),
        )
    }


def _ages_ms(replayed: Replayed) -> list[float]:
    trace = replayed.trace
    gaps = np.array(trace.times_ns, np.int64) - np.array(trace.stamps_ns, np.int64)
    return [float(each) * 1e3 / NS for each in gaps[trace.chosen]]


def _measured(replayed: Replayed, rate_hz: float) -> dict[str, Any]:
    measured = replayed.trace.measured_ms
    compute = list(measured.get('compute', ()))
    misses = sum(each > 1e3 / rate_hz for each in compute)
    return {
        'stages_ms': {
            name: percentiles_of(measured.get(name, ()))
            for name in ('decode', 'preprocess', 'inference', 'compute')
        },
        'deadline': {
            'rate_hz': rate_hz,
            'misses': misses,
            'share': _share(misses, len(compute)),
        },
        'wall_sec': round(replayed.wall_sec, 3),
    }


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 6) if whole > 0 else None
