"""Cameras keep their phase."""

from __future__ import annotations

from threading import Event

from sara_ros.nodes.simulator import _Every, _Pace

MS = 1_000_000


def test_a_period_falls_on_every_fifth_tick() -> None:
    """Camera periods wandered by one physics tick, and commands waited for the latest frames."""
    cameras = _Every(0.05, 0)
    assert [tick for tick in range(20) if cameras.due(tick * 10 * MS)] == [0, 5, 10, 15]


def test_a_period_that_is_no_whole_number_of_ticks_is_kept_on_average() -> None:
    cameras = _Every(1 / 30, 0)
    taken = [tick for tick in range(1000) if cameras.due(tick * 10 * MS)]
    assert 250 <= len(taken) <= 301


def test_missed_ticks_are_skipped_and_the_grid_stays() -> None:
    pace = _Pace(100.0)
    start_ns = pace.tick_ns
    stopping = Event()
    for delay_sec in (0.0, 0.035, 0.0, 0.012):
        Event().wait(delay_sec)
        assert 0 < pace.wait(stopping) <= 0.05
        assert (pace.tick_ns - start_ns) % (10 * MS) == 0
