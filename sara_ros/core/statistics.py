"""Percentiles over a window of recent values."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
import math

import numpy as np

from sara_ros.core.errors import ParameterError


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Median, 95th and 99th percentile, maximum and count of a set of values."""

    count: int
    p50: float
    p95: float
    p99: float
    max: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Percentiles:
        """
        Summarise ``values``.

        :raises ParameterError: when there are none; an empty summary would read as zero latency.
        """
        array = np.fromiter(values, float)
        if not array.size:
            raise ParameterError('percentiles of no values')
        p50, p95, p99 = np.percentile(array, (50, 95, 99))
        return cls(array.size, float(p50), float(p95), float(p99), float(array.max()))


class CommandRate:
    """
    Commands per second while a policy runs, from those commands that carry timing.

    Holds and the later steps of a chunk carry none, so commands are counted by sequence number.
    """

    def __init__(self, size: int) -> None:
        """Cover the latest ``size`` intervals."""
        self._intervals: deque[tuple[int, float]] = deque(maxlen=size)
        self._latest: tuple[int, float] | None = None

    def add(self, sequence: int, stamp_sec: float) -> None:
        """Note a command."""
        if self._latest is not None:
            self._intervals.append((sequence - self._latest[0], stamp_sec - self._latest[1]))
        self._latest = (sequence, stamp_sec)

    def pause(self) -> None:
        """Have the time until the next command not count: it lies between two runs."""
        self._latest = None

    @property
    def span_sec(self) -> float:
        """Time covered."""
        # A float even when empty: Fast CDR aborts the process on a whole number in a float field.
        return math.fsum(seconds for _, seconds in self._intervals)

    @property
    def rate_hz(self) -> float:
        """Commands per second; 0 before the second command."""
        span_sec = self.span_sec
        return sum(count for count, _ in self._intervals) / span_sec if span_sec > 0 else 0.0


class Window:
    """The latest ``size`` values of each series."""

    def __init__(self, size: int) -> None:
        """Start empty."""
        self._size = size
        self._series: dict[str, deque[float]] = {}

    def add(self, series: str, value: float) -> None:
        """Append a value."""
        self._series.setdefault(series, deque(maxlen=self._size)).append(value)

    def percentiles(self) -> dict[str, Percentiles]:
        """Summarise every series."""
        return {name: Percentiles.of(values) for name, values in self._series.items()}

    def clear(self) -> None:
        """Forget all values."""
        self._series.clear()
