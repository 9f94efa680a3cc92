"""Confidence intervals of success rates, single and paired."""

from __future__ import annotations

from collections.abc import Sequence
import math
from typing import Final

from sara_ros.core import ParameterError

_Z95: Final = 1.959963984540054


def wilson_interval(successes: int, trials: int) -> tuple[float, float]:
    """
    Return the Wilson score interval at 95 %.

    :raises ParameterError: without a trial.
    """
    if trials < 1:
        raise ParameterError('an interval needs at least one trial')
    share = successes / trials
    scale = 1 + _Z95 * _Z95 / trials
    middle = share + _Z95 * _Z95 / (2 * trials)
    spread = _Z95 * math.sqrt(share * (1 - share) / trials + _Z95 * _Z95 / (4 * trials * trials))
    return max(0.0, (middle - spread) / scale), min(1.0, (middle + spread) / scale)


def paired_difference(
    first: Sequence[bool], second: Sequence[bool]
) -> tuple[float, tuple[float, float]]:
    """
    Return how much more often ``first`` succeeds than ``second``, and the 95 % interval of it.

    Both played the same episodes, in the same order. The interval joins Wilson's of each by
    their correlation (Newcombe 1998, paired data, method 10).

    :raises ParameterError: without episodes, or with different numbers of them.
    """
    if not first or len(first) != len(second):
        raise ParameterError(
            f'a paired difference needs the same episodes, not {len(first)} and {len(second)}'
        )
    n = len(first)
    both = sum(a and b for a, b in zip(first, second, strict=True))
    ours, theirs = sum(first), sum(second)
    phi = _correlation(both, ours - both, theirs - both, n - ours - theirs + both)
    return _newcombe((ours, n), (theirs, n), phi)


def difference(
    first: tuple[int, int], second: tuple[int, int]
) -> tuple[float, tuple[float, float]]:
    """
    Return how much more often ``first`` succeeds than ``second``, and the 95 % interval of it.

    Each is successes and trials, of episodes that are not paired (Newcombe 1998, independent
    data, method 10).

    :raises ParameterError: without a trial.
    """
    return _newcombe(first, second, 0.0)


def _newcombe(
    first: tuple[int, int], second: tuple[int, int], phi: float
) -> tuple[float, tuple[float, float]]:
    ends1, ends2 = wilson_interval(*first), wilson_interval(*second)
    share1, share2 = first[0] / first[1], second[0] / second[1]
    low1, high1 = (abs(end - share1) for end in ends1)
    low2, high2 = (abs(end - share2) for end in ends2)
    gap = share1 - share2
    down = math.sqrt(max(0.0, low1**2 - 2 * phi * low1 * high2 + high2**2))
    up = math.sqrt(max(0.0, high1**2 - 2 * phi * high1 * low2 + low2**2))
    return gap, (max(-1.0, gap - down), min(1.0, gap + up))


def _correlation(both: int, only_first: int, only_second: int, neither: int) -> float:
    """Return the phi coefficient with Newcombe's correction for continuity."""
    n = both + only_first + only_second + neither
    sides = (
        (both + only_first) * (only_second + neither) * (both + only_second)
        * (only_first + neither)
    )  # fmt: skip
    if sides == 0:
        return 0.0
    covariance = float(both * neither - only_first * only_second)
    if covariance > 0:
        covariance = max(covariance - n / 2, 0.0)
    return covariance / math.sqrt(sides)
