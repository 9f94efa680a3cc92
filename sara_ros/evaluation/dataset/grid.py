"""A fixed rate out of observations that come when they come."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from sara_ros.decoding.stamps import NS

Item = TypeVar('Item')


@dataclass(frozen=True, slots=True)
class Pick(Generic[Item]):
    """
    What was seen nearest to an instant.

    :param at_ns: the instant where ``item`` is ``repeated``, else when it was seen.
    """

    at_ns: int
    item: Item
    repeated: bool


class FrameGrid(Generic[Item]):
    """
    Picks the nearest observation for every instant of a fixed rate, the earlier of two as near.

    The first observation is the first instant. Each observation is kept until the next one says
    which of them is nearer, so memory holds two.
    """

    def __init__(self, fps: int, stamp_ns: int, item: Item) -> None:
        """Begin with an observation."""
        self._fps = fps
        self._start_ns = stamp_ns
        self._last_ns = stamp_ns
        self._last = item
        self._used = False
        self._row = 0

    @property
    def last_ns(self) -> int:
        """Stamp of the newest observation."""
        return self._last_ns

    def add(self, stamp_ns: int, item: Item) -> Iterator[Pick[Item]]:
        """Take the next observation and yield what is decided by it."""
        while self._next_ns - self._last_ns <= stamp_ns - self._next_ns:
            yield self._pick()
        self._last_ns, self._last, self._used = stamp_ns, item, False

    def close(self) -> Iterator[Pick[Item]]:
        """Yield the last observation if it is nearest to an instant."""
        while self._next_ns - self._last_ns < NS // (2 * self._fps):
            yield self._pick()

    @property
    def _next_ns(self) -> int:
        return self._start_ns + round(self._row * NS / self._fps)

    def _pick(self) -> Pick[Item]:
        repeated, self._used = self._used, True
        at_ns = self._next_ns if repeated else self._last_ns
        self._row += 1
        return Pick(at_ns, self._last, repeated)
