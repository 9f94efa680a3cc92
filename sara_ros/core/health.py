"""Judges figures by thresholds, as a robot monitor shows them."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

from sara_ros.core.errors import ParameterError


class Level(IntEnum):
    """Levels of ``diagnostic_msgs/DiagnosticStatus``; STALE says that nothing is known."""

    OK = 0
    WARN = 1
    ERROR = 2
    STALE = 3


@dataclass(frozen=True, slots=True)
class Limit:
    """
    Values above ``warn`` and above ``error`` are told of; 0 for no such threshold.

    :raises ParameterError: when ``error`` lies below ``warn``; ``name`` is the quantity's.
    """

    name: str
    warn: float
    error: float

    def __post_init__(self) -> None:
        """Refuse thresholds in the wrong order."""
        if 0 < self.error < self.warn:
            raise ParameterError(
                f"parameters 'warn_{self.name}' and 'error_{self.name}' are {self.warn:g} and "
                f'{self.error:g}; the second must not be the smaller'
            )

    def level(self, value: float) -> Level:
        """Judge ``value``."""
        if 0 < self.error < value:
            return Level.ERROR
        return Level.WARN if 0 < self.warn < value else Level.OK


@dataclass(frozen=True, slots=True)
class Finding:
    """What is to be said of a quantity, and how bad it is."""

    level: Level
    text: str


def worst(*findings: Finding) -> Finding:
    """Return the worst level, with the texts of all findings of that level."""
    level = max(finding.level for finding in findings)
    texts = [finding.text for finding in findings if finding.level == level and finding.text]
    return Finding(level, '; '.join(texts))


def judged(limit: Limit, value: float, text: str, unit: str) -> Finding:
    """Return a finding about ``value`` that names the threshold it exceeds."""
    level = limit.level(value)
    if level == Level.OK:
        return Finding(level, text)
    exceeded = limit.error if level == Level.ERROR else limit.warn
    return Finding(level, f'{text}, limit {exceeded:g} {unit}')


class CounterWindow:
    """
    By how much counters grew over the latest ``span_sec``.

    A counter that falls has started anew, and so does the window.
    """

    def __init__(self, span_sec: float) -> None:
        """Start empty."""
        self._span_sec = span_sec
        self._samples: deque[tuple[float, dict[str, float]]] = deque()

    def add(self, now_sec: float, counters: Mapping[str, float]) -> None:
        """Note the counters at ``now_sec`` on the steady clock."""
        if self._samples:
            before = self._samples[-1][1]
            if any(value < before.get(name, 0) for name, value in counters.items()):
                self._samples.clear()
        self._samples.append((now_sec, dict(counters)))
        while len(self._samples) > 2 and self._samples[1][0] <= now_sec - self._span_sec:
            self._samples.popleft()

    def growth(self, name: str) -> float:
        """Return by how much a counter grew."""
        if not self._samples:
            return 0.0
        return self._samples[-1][1].get(name, 0) - self._samples[0][1].get(name, 0)

    def share_percent(self, name: str, of: str) -> float:
        """Return the growth of ``name`` as a share of that of ``of``; 0 when that is none."""
        whole = self.growth(of)
        return 100.0 * self.growth(name) / whole if whole > 0 else 0.0

    def clear(self) -> None:
        """Forget everything."""
        self._samples.clear()
