"""Frames published against frames received, by stamp."""

from __future__ import annotations

from sara_ros.evaluation.frame_ledger import FrameLedger

PERIOD_NS = 50_000_000


def _ledger(count: int) -> FrameLedger:
    ledger = FrameLedger()
    for index in range(1, count + 1):
        ledger.published(index * PERIOD_NS, 640, 480)
    return ledger


def test_frames_under_way_at_either_end_are_not_lost() -> None:
    ledger = _ledger(20)
    ledger.received(3, 5 * PERIOD_NS)
    ledger.received(13, 15 * PERIOD_NS)
    counts = ledger.counts()
    assert (counts.published, counts.received, counts.lost) == (10, 10, 0)
    assert (counts.width, counts.height, counts.rate_hz) == (640, 480, 20.0)


def test_missing_frames_are_lost() -> None:
    ledger = _ledger(20)
    ledger.received(3, 5 * PERIOD_NS)
    ledger.received(10, 15 * PERIOD_NS)
    assert ledger.counts().lost == 3


def test_an_activation_starts_a_new_window() -> None:
    ledger = _ledger(20)
    ledger.received(5, 5 * PERIOD_NS)
    ledger.received(7, 7 * PERIOD_NS)
    ledger.received(1, 11 * PERIOD_NS)
    ledger.received(4, 14 * PERIOD_NS)
    assert ledger.counts().published == ledger.counts().received == 5


def test_reports_from_before_the_first_frame_seen_here_do_not_count() -> None:
    ledger = FrameLedger()
    ledger.received(4, 4 * PERIOD_NS)
    ledger.published(6 * PERIOD_NS, 640, 480)
    ledger.received(5, 5 * PERIOD_NS)
    ledger.received(6, 6 * PERIOD_NS)
    ledger.published(7 * PERIOD_NS, 640, 480)
    ledger.received(7, 7 * PERIOD_NS)
    assert ledger.counts().published == ledger.counts().received == 1
