"""Interleaved timing: contenders take turns, so that drift of the machine hits all alike."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
import gc
import math
import random
import time

import numpy as np
from numpy.typing import NDArray

from sara_ros.core import ParameterError

Call = Callable[[], object]
FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class TimingOptions:
    """
    How often contenders are called.

    :param warm_up: calls of each contender before anything is counted; one is enough for a call
        that takes ``long_sec``.
    :param min_rounds: rounds that are made however long they take.
    :param max_rounds: rounds after which a cell is done.
    :param sample_sec: a sample repeats a short call until it lasts about this long.
    :param max_calls: calls in one sample at most.
    """

    warm_up: int = 3
    min_rounds: int = 3
    max_rounds: int = 200
    sample_sec: float = 2e-4
    max_calls: int = 20
    long_sec: float = 0.1

    def __post_init__(self) -> None:
        """Check the counts."""
        counts = (self.warm_up, self.min_rounds, self.max_calls)
        if min(counts) < 1 or self.max_rounds < self.min_rounds or self.sample_sec < 0:
            raise ParameterError(
                f'timing: warm_up, min_rounds and max_calls are {counts}, max_rounds '
                f'{self.max_rounds} and sample_sec {self.sample_sec}; counts must be at least 1, '
                'max_rounds at least min_rounds and sample_sec not negative'
            )


@dataclass(frozen=True, slots=True)
class Quartiles:
    """Median and the bounds of the middle half."""

    median: float
    q25: float
    q75: float

    @classmethod
    def of(cls, values: FloatArray) -> Quartiles:
        """Summarise ``(rounds,)``."""
        q25, median, q75 = np.percentile(values, (25, 50, 75))
        return cls(float(median), float(q25), float(q75))


@dataclass(frozen=True, slots=True)
class Samples:
    """Seconds a call of each contender, ``(rounds,)`` each, and the calls one sample averages."""

    sec: Mapping[str, FloatArray]
    calls: Mapping[str, int]
    rounds: int

    def time_sec(self, name: str) -> Quartiles:
        """Return the seconds a call takes."""
        return Quartiles.of(self.sec[name])

    def speedup(self, name: str, baseline: str) -> Quartiles:
        """Return how many times faster than ``baseline`` it was, round by round."""
        return Quartiles.of(self.sec[baseline] / self.sec[name])


def interleave(
    contenders: Mapping[str, Call],
    seconds: float,
    options: TimingOptions,
    *,
    warmed_up: Collection[str] = (),
    seed: int = 0,
) -> Samples:
    """
    Call every contender once a round, in an order drawn anew for each round.

    :param seconds: time after which no further round begins, once ``min_rounds`` are made.
    :param warmed_up: long calls that were made before and are not repeated to warm up.
    """
    deadline = time.perf_counter() + seconds
    calls = {
        name: 1 if name in warmed_up else _calls(call, options)
        for name, call in contenders.items()
    }
    sec: dict[str, list[float]] = {name: [] for name in contenders}
    order, shuffle = list(contenders), random.Random(seed).shuffle
    rounds, collecting = 0, gc.isenabled()
    gc.disable()
    try:
        while rounds < options.min_rounds or (
            rounds < options.max_rounds and time.perf_counter() < deadline
        ):
            shuffle(order)
            for name in order:
                sec[name].append(_seconds(contenders[name], calls[name]))
            rounds += 1
    finally:
        if collecting:
            gc.enable()
    return Samples({name: np.array(values) for name, values in sec.items()}, calls, rounds)


def _calls(call: Call, options: TimingOptions) -> int:
    spent = float('inf')
    for _ in range(options.warm_up):
        spent = min(spent, _seconds(call, 1))
        if spent >= options.long_sec:
            break
    return max(1, min(options.max_calls, math.ceil(options.sample_sec / spent)))


def _seconds(call: Call, count: int) -> float:
    began = time.perf_counter()
    for _ in range(count):
        call()
    return (time.perf_counter() - began) / count
