"""The fixed-rate command timer, which never waits for the model."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from threading import Event, Lock, Thread
import time
from typing import Final

import numpy as np

NS: Final = 1_000_000_000
ARRIVALS: Final = 64
"""Latest arrivals whose phase counts."""
MOST: Final = 0.95
"""Share of chunks that should have arrived at their tick."""
COHERENCE: Final = 0.5
"""Length of the mean phase vector below which arrivals have no common phase."""
START_MARGIN_NS: Final = 3_000_000


class CommandSchedule:
    """
    Instants of the command periods, with a phase that follows the arrivals of chunks.

    With a fixed phase a chunk waits half a period on average for its tick. Chunks that come at
    a steady phase let the ticks move, by at most ``max_slew`` of a period each time, to
    ``margin_sec`` after the instant by which 95 % of them have arrived; that saves most of the
    wait and keeps the rate within ``max_slew``. Arrivals without a common phase move nothing.

    :param period_ns: time between commands.
    :param margin_sec: time between the 95th percentile of the arrivals and the tick.
    :param max_slew: largest change of one period, as a share of it; 0 keeps the phase fixed.
    """

    def __init__(
        self, period_ns: int, *, start_ns: int, margin_sec: float = 0.001, max_slew: float = 0.02
    ) -> None:
        """Schedule the first tick one period after ``start_ns``."""
        self._period_ns = period_ns
        self._margin_ns = int(margin_sec * NS)
        self._max_slew_ns = int(period_ns * max_slew)
        self._arrivals_ns: deque[int] = deque(maxlen=ARRIVALS)
        self._correction_ns = 0
        self._reserve_ns = 0
        self._reserved_ns = 0
        self._lock = Lock()
        self.next_ns = start_ns + period_ns

    def arrived(self, now_ns: int) -> None:
        """Tell the schedule that a chunk arrived at ``now_ns``."""
        with self._lock:
            self._arrivals_ns.append(now_ns)
            wanted_ns = self._common_phase_ns()
            if wanted_ns is not None:
                error_ns = wanted_ns + self._margin_ns + self._reserved_ns - self.next_ns
                self._correction_ns = self._nearest(error_ns)

    def _common_phase_ns(self) -> int | None:
        """Return an instant by whose phase most chunks have arrived; ``None`` without a phase."""
        phases = np.array([each % self._period_ns for each in self._arrivals_ns])
        mean = np.exp(2j * np.pi * phases / self._period_ns).mean()
        if abs(mean) < COHERENCE:
            return None
        center_ns = int(np.angle(mean) / (2 * np.pi) * self._period_ns)
        late_ns = np.quantile([self._nearest(int(each) - center_ns) for each in phases], MOST)
        return center_ns + int(late_ns)

    def _nearest(self, difference_ns: int) -> int:
        """Return a difference of phases within half a period of zero."""
        half_ns = self._period_ns // 2
        return (difference_ns + half_ns) % self._period_ns - half_ns

    def reserve(self, duration_ns: int) -> None:
        """
        Let chunks arrive ``duration_ns`` later than they do now without missing their tick.

        The ticks move there, and back for 0, by at most ``max_slew`` of a period each.
        """
        with self._lock:
            self._reserve_ns = duration_ns

    @property
    def reserved(self) -> bool:
        """Whether the ticks have moved to where :meth:`reserve` wants them, or never will."""
        return self._reserved_ns == self._reserve_ns or not self._max_slew_ns

    def restart(self, now_ns: int) -> None:
        """Put the next tick right after ``now_ns``, where no command has gone out yet."""
        with self._lock:
            self._reserved_ns = self._reserve_ns
            self.next_ns = now_ns + START_MARGIN_NS + self._reserved_ns
            self._arrivals_ns.clear()
            self._correction_ns = 0

    def advance(self, now_ns: int) -> int:
        """Move on to the first tick after ``now_ns`` and return how many were missed."""
        with self._lock:
            limit = self._max_slew_ns
            step_ns = _within(limit, self._reserve_ns - self._reserved_ns)
            self._reserved_ns += step_ns
            slew_ns = _within(limit - abs(step_ns), self._correction_ns)
            self._correction_ns -= slew_ns
            self.next_ns += self._period_ns + step_ns + slew_ns
            missed = max(0, -(-(now_ns - self.next_ns) // self._period_ns))
            self.next_ns += missed * self._period_ns
            return missed


def _within(limit: int, value: int) -> int:
    return max(-limit, min(limit, value))


class CommandTimer:
    """
    Calls ``tick(missed)`` on its own thread at every instant of a schedule.

    ``missed`` counts the periods that were skipped since the last call because the machine did
    not run the thread in time; they are reported, never made up for by a burst.
    """

    def __init__(
        self,
        schedule: CommandSchedule,
        tick: Callable[[int], None],
        *,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """Prepare the thread; :meth:`start` runs it."""
        self._schedule = schedule
        self._tick = tick
        self._now_ns = monotonic_ns
        self._stopping = False
        self._wake = Event()
        self._thread = Thread(target=self._run, name='command_timer', daemon=True)

    def start(self) -> None:
        """Start ticking."""
        self._thread.start()

    @property
    def next_ns(self) -> int:
        """When the next tick is due."""
        return self._schedule.next_ns

    def fire(self) -> None:
        """Tick now; the thread does so at every due instant, as may whoever keeps time itself."""
        # Before the tick: a restart of the phase during the tick must not be moved on.
        self._tick(self._schedule.advance(self._now_ns()))

    def restart_phase(self, now_ns: int) -> None:
        """Tick right after ``now_ns`` and go on from there."""
        self._schedule.restart(now_ns)
        self._wake.set()

    def stop(self) -> None:
        """Stop ticking; no tick is running once this returns."""
        self._stopping = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while self._wait():
            self.fire()

    def _wait(self) -> bool:
        """Sleep until the next tick; False when there is none because of :meth:`stop`."""
        while not self._stopping:
            delay_ns = self._schedule.next_ns - self._now_ns()
            if delay_ns <= 0:
                return True
            if self._wake.wait(delay_ns / NS):
                self._wake.clear()
        return False
