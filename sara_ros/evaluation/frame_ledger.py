"""Compares the frames a camera published with those a policy received."""

from __future__ import annotations

from dataclasses import dataclass, field

from sara_ros.evaluation.session import FrameCounts


@dataclass(slots=True)
class FrameLedger:
    """
    Counts by stamp, so that frames under way at either end of a session are not called lost.

    A policy reports how many frames it has received and the stamp of the newest. Between its
    first and its last report, the frames published after the first stamp and up to the last one
    should equal the difference of its counts.
    """

    width: int = 0
    height: int = 0
    _published: list[int] = field(default_factory=list)
    _windows: list[tuple[tuple[int, int], tuple[int, int]]] = field(default_factory=list)

    def published(self, stamp_ns: int, width: int, height: int) -> None:
        """Note that the camera published a frame."""
        self._published.append(stamp_ns)
        self.width, self.height = width, height

    def received(self, count: int, newest_stamp_ns: int) -> None:
        """Note a policy's report; a count that shrinks starts a new window."""
        # Frames from before the camera was heard of here cannot be compared.
        if not self._published or newest_stamp_ns < self._published[0]:
            return
        report = (count, newest_stamp_ns)
        if self._windows and count >= self._windows[-1][1][0]:
            self._windows[-1] = (self._windows[-1][0], report)
        else:
            self._windows.append((report, report))

    def counts(self) -> FrameCounts:
        """Sum all windows up."""
        published = received = 0
        for (first_count, first_ns), (last_count, last_ns) in self._windows:
            published += sum(first_ns < stamp <= last_ns for stamp in self._published)
            received += last_count - first_count
        span_sec = (self._published[-1] - self._published[0]) / 1e9 if self._published else 0.0
        rate_hz = round((len(self._published) - 1) / span_sec, 2) if span_sec else None
        lost = max(published - received, 0)
        return FrameCounts(published, received, lost, rate_hz, self.width, self.height)
