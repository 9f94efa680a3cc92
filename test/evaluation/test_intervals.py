"""Confidence intervals of success rates."""

from __future__ import annotations

import numpy as np
import pytest

from sara_ros.core import ParameterError
from sara_ros.evaluation.intervals import difference, paired_difference, wilson_interval


@pytest.mark.parametrize(
    ('successes', 'trials', 'low', 'high'),
    [(0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (81, 263, 0.2553, 0.3662)],
)
def test_wilson_interval(successes: int, trials: int, low: float, high: float) -> None:
    """Published values; the last is the example of Newcombe 1998, method 3."""
    assert wilson_interval(successes, trials) == pytest.approx((low, high), abs=1e-4)


def test_no_trials() -> None:
    with pytest.raises(ParameterError, match='at least one trial'):
        wilson_interval(0, 0)
    with pytest.raises(ParameterError, match='at least one trial'):
        difference((1, 2), (0, 0))


def test_difference_of_independent_samples() -> None:
    """The example (a) of Newcombe 1998, independent data, method 10."""
    gap, ends = difference((56, 70), (48, 80))
    assert gap == pytest.approx(0.2)
    assert ends == pytest.approx((0.0524, 0.3339), abs=1e-4)


def _pairs(both: int, first: int, second: int, neither: int) -> tuple[list[bool], list[bool]]:
    ours = [True] * (both + first) + [False] * (second + neither)
    theirs = [True] * both + [False] * first + [True] * second + [False] * neither
    return ours, theirs


def test_equal_results_differ_by_nothing() -> None:
    difference, (low, high) = paired_difference(*_pairs(480, 0, 0, 20))
    assert difference == 0
    assert low == pytest.approx(-high)
    assert 0 < high < 0.01


def test_swapping_the_sides_mirrors_the_interval() -> None:
    ours, theirs = _pairs(400, 40, 15, 45)
    difference, (low, high) = paired_difference(ours, theirs)
    mirrored, ends = paired_difference(theirs, ours)
    assert difference == pytest.approx(25 / 500) == -mirrored
    assert (low, high) == pytest.approx((-ends[1], -ends[0]))
    assert 0 < low < difference < high


def test_pairing_narrows_the_interval() -> None:
    """The same rates without correlation are as two independent samples are."""
    _, (low, high) = paired_difference(*_pairs(440, 20, 10, 30))
    _, (loose_low, loose_high) = paired_difference(*_pairs(414, 46, 36, 4))
    assert high - low < 0.7 * (loose_high - loose_low)


def test_the_interval_covers_the_truth() -> None:
    """Pairs that share most of their luck, 400 times: about 95 % of the intervals hold 0.05."""
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(400):
        shared, own = rng.random(200), rng.random((2, 200))
        luck = np.where(rng.random((2, 200)) < 0.7, shared, own)
        _, (low, high) = paired_difference(list(luck[0] < 0.90), list(luck[1] < 0.85))
        covered += low <= 0.05 <= high
    assert 0.92 < covered / 400 < 0.99


def test_pairs_must_be_pairs() -> None:
    with pytest.raises(ParameterError, match='the same episodes, not 2 and 1'):
        paired_difference([True, False], [True])
    with pytest.raises(ParameterError, match='not 0 and 0'):
        paired_difference([], [])
