"""Contenders take turns, and a ratio is one of neighbours in time."""

from __future__ import annotations

import numpy as np
import pytest

from sara_ros.core import ParameterError
from sara_ros.evaluation.attention_speed.timing import (
    Quartiles,
    Samples,
    TimingOptions,
    interleave,
)

ONCE = TimingOptions(warm_up=2, min_rounds=4, max_rounds=7, sample_sec=0.0)


def contenders(calls: list[str]):
    """Return two that note their calls."""
    return {name: (lambda name=name: calls.append(name)) for name in ('a', 'b', 'c')}


def test_each_round_calls_everybody_once():
    """Drift hits all alike only when no contender gets ahead."""
    calls: list[str] = []
    samples = interleave(contenders(calls), 60, ONCE)
    counted = calls[3 * ONCE.warm_up :]
    rounds = [tuple(counted[i : i + 3]) for i in range(0, len(counted), 3)]
    assert samples.rounds == len(rounds) == ONCE.max_rounds
    assert {tuple(sorted(some)) for some in rounds} == {('a', 'b', 'c')}
    assert len(set(rounds)) > 1
    assert {len(values) for values in samples.sec.values()} == {ONCE.max_rounds}


def test_least_rounds_are_made_without_any_time():
    """A cell that is longer than the budget still has a median."""
    assert interleave(contenders([]), 0.0, ONCE).rounds == ONCE.min_rounds


def test_short_calls_are_repeated_within_a_sample():
    """The clock's resolution must not decide; the samples are seconds a call."""
    calls: list[str] = []
    options = TimingOptions(warm_up=1, min_rounds=1, max_rounds=1, sample_sec=1.0, max_calls=9)
    samples = interleave({'a': lambda: calls.append('a')}, 0.0, options)
    assert samples.calls == {'a': 9}
    assert len(calls) == 1 + 9


def test_what_is_warm_is_not_called_to_warm_up():
    """Calls of seconds were made once already to check their output."""
    calls: list[str] = []
    interleave(contenders(calls), 0.0, ONCE, warmed_up=('b',))
    assert calls.count('b') == ONCE.min_rounds
    assert calls.count('a') == ONCE.min_rounds + ONCE.warm_up


def test_ratios_are_taken_round_by_round():
    """A machine that slows down fourfold halfway leaves the ratio as it is."""
    slow = np.array([1.0, 1.0, 4.0, 4.0])
    samples = Samples({'base': 2 * slow, 'own': slow}, {'base': 1, 'own': 1}, 4)
    assert samples.speedup('own', 'base') == Quartiles(2.0, 2.0, 2.0)
    assert samples.time_sec('own').median == 2.5


@pytest.mark.parametrize(
    'wrong', [{'warm_up': 0}, {'min_rounds': 0}, {'min_rounds': 9, 'max_rounds': 8}]
)
def test_counts_are_checked(wrong):
    """No rounds would give no median."""
    with pytest.raises(ParameterError, match='min_rounds'):
        TimingOptions(**wrong)
