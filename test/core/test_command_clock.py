"""Command periods on a made-up clock, and the timer thread on the real one."""

from itertools import pairwise
from threading import Event
import time

from core.fakes import FakeClock
from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

from sara_ros.core.command_clock import NS, START_MARGIN_NS, CommandSchedule, CommandTimer

PERIOD_NS = NS // 20


def simulate(arrivals_ns, schedule, until_ns):
    """Return the ticks, and for each arrival how long it waits for its tick (ns)."""
    arrivals = list(arrivals_ns)
    ticks, waits = [], []
    while schedule.next_ns < until_ns:
        while arrivals and arrivals[0] <= schedule.next_ns:
            arrival = arrivals.pop(0)
            schedule.arrived(arrival)
            waits.append(schedule.next_ns - arrival)
        ticks.append(schedule.next_ns)
        assert schedule.advance(schedule.next_ns) == 0
    return np.array(ticks), np.array(waits)


def arrivals_at(phase_ns, jitter_ns, count=800, seed=0):
    """Return arrivals of a 20 Hz camera whose latency varies."""
    rng = np.random.default_rng(seed)
    steady = phase_ns + PERIOD_NS * np.arange(count)
    return np.sort(steady + rng.uniform(0, max(jitter_ns, 1), count).astype(int)).tolist()


@pytest.mark.parametrize('phase', [0.05, 0.3, 0.5, 0.7, 0.97])
@pytest.mark.parametrize('jitter_ms', [0, 3])
def test_ticks_move_to_right_after_the_arrivals(phase, jitter_ms):
    """Whatever the phase at the start, a chunk soon waits for little more than the jitter."""
    arrivals = arrivals_at(int(phase * PERIOD_NS), jitter_ms * 1_000_000)
    _, waits = simulate(arrivals, CommandSchedule(PERIOD_NS, start_ns=0), 800 * PERIOD_NS)
    settled_ms = waits[400:] / 1e6
    assert np.median(settled_ms) < jitter_ms + 2.5
    # A chunk that misses its tick waits for the next one.
    assert np.mean(settled_ms > 0.8 * PERIOD_NS / 1e6) < 0.05


def test_a_fixed_phase_makes_chunks_wait():
    """What the moving phase saves: half a period at this phase. Slew 0 keeps every period."""
    schedule = CommandSchedule(PERIOD_NS, start_ns=0, max_slew=0.0)
    ticks, waits = simulate(arrivals_at(PERIOD_NS // 2, 0), schedule, 800 * PERIOD_NS)
    assert set(np.diff(ticks)) == {PERIOD_NS}
    assert np.median(waits) == pytest.approx(PERIOD_NS / 2, rel=0.01)


@given(
    gaps=st.lists(st.integers(0, 4 * PERIOD_NS), min_size=1, max_size=60),
    max_slew=st.sampled_from([0.0, 0.01, 0.02, 0.1]),
)
def test_every_period_stays_within_the_slew(gaps, max_slew):
    """Whenever chunks arrive, the rate stays within ``max_slew``."""
    schedule = CommandSchedule(PERIOD_NS, start_ns=0, max_slew=max_slew)
    arrivals = np.cumsum(gaps).tolist()
    ticks, _ = simulate(arrivals, schedule, arrivals[-1] + 5 * PERIOD_NS)
    assert all(
        abs(after - before - PERIOD_NS) <= PERIOD_NS * max_slew
        for before, after in pairwise(ticks)
    )


@given(late=st.integers(0, 20 * PERIOD_NS))
def test_missed_ticks_are_counted_and_lie_in_the_past(late):
    """The next tick comes after now and within a period; what lies between is counted."""
    schedule = CommandSchedule(PERIOD_NS, start_ns=0, max_slew=0.0)
    now_ns = schedule.next_ns + late
    missed = schedule.advance(now_ns)
    assert now_ns <= schedule.next_ns <= now_ns + PERIOD_NS
    assert missed == (schedule.next_ns - 2 * PERIOD_NS) // PERIOD_NS


def test_a_restart_puts_the_tick_right_after():
    schedule = CommandSchedule(PERIOD_NS, start_ns=0)
    schedule.restart(5 * NS)
    assert schedule.next_ns == 5 * NS + START_MARGIN_NS


def test_the_timer_ticks_until_it_is_stopped():
    ticks = []
    timer = CommandTimer(CommandSchedule(NS // 200, start_ns=time.monotonic_ns()), ticks.append)
    timer.start()
    time.sleep(0.3)
    timer.stop()
    count = len(ticks)
    assert 5 < count <= 65
    time.sleep(0.03)
    assert len(ticks) == count


def test_a_restart_during_a_tick_is_not_moved_on_by_a_period():
    """The first command of a run once came a whole period late when its chunk met a tick."""
    ticked, moments = Event(), []

    def tick(_):
        moments.append(time.monotonic())
        if len(moments) == 1:
            timer.restart_phase(time.monotonic_ns())
        else:
            ticked.set()

    start_ns = time.monotonic_ns() - 2 * NS + NS // 50
    timer = CommandTimer(CommandSchedule(2 * NS, start_ns=start_ns), tick)
    timer.start()
    assert ticked.wait(5.0)
    timer.stop()
    assert moments[1] - moments[0] < 1.0


def test_a_timer_that_never_started_stops():
    CommandTimer(CommandSchedule(NS, start_ns=0), lambda _: None, monotonic_ns=FakeClock()).stop()


def test_a_reserve_moves_the_ticks_that_much_later_and_back():
    """Chunks wait longer by the reserve; every period stays within the slew, so none is lost."""
    schedule = CommandSchedule(PERIOD_NS, start_ns=0)
    arrivals = arrivals_at(int(0.3 * PERIOD_NS), 0, count=1200)
    reserve_ns = int(0.7 * PERIOD_NS)
    ends = {400: 0, 700: reserve_ns, 1100: 0}
    waits, ticks = [], []
    for end, reserve in ends.items():
        schedule.reserve(reserve)
        upto = [each for each in arrivals if each < end * PERIOD_NS]
        arrivals = arrivals[len(upto) :]
        more_ticks, more_waits = simulate(upto, schedule, end * PERIOD_NS)
        assert schedule.reserved
        ticks.extend(more_ticks)
        waits.append(np.median(more_waits[-50:]))
    assert waits[1] - waits[0] == pytest.approx(reserve_ns, abs=1_500_000)
    assert waits[2] == pytest.approx(waits[0], abs=1_500_000)
    periods = np.diff(ticks)
    assert np.abs(periods - PERIOD_NS).max() <= PERIOD_NS * 0.02


def test_a_fixed_phase_reserves_nothing():
    schedule = CommandSchedule(PERIOD_NS, start_ns=0, max_slew=0.0)
    schedule.reserve(PERIOD_NS // 2)
    assert schedule.reserved
    before = schedule.next_ns
    schedule.advance(before)
    assert schedule.next_ns == before + PERIOD_NS
