"""Thresholds, and shares of counters over a window."""

import pytest

from sara_ros.core.errors import ParameterError
from sara_ros.core.health import CounterWindow, Finding, Level, Limit, judged, worst


@pytest.mark.parametrize(
    ('warn', 'error', 'value', 'level'),
    [
        (1.0, 2.0, 1.0, Level.OK),
        (1.0, 2.0, 1.1, Level.WARN),
        (1.0, 2.0, 2.1, Level.ERROR),
        (0.0, 2.0, 1.5, Level.OK),
        (0.0, 2.0, 2.5, Level.ERROR),
        (1.0, 0.0, 99.0, Level.WARN),
        (0.0, 0.0, 99.0, Level.OK),
    ],
)
def test_levels(warn, error, value, level):
    assert Limit('latency_sec', warn, error).level(value) == level


def test_thresholds_in_the_wrong_order_are_named():
    with pytest.raises(
        ParameterError, match="'warn_latency_sec' and 'error_latency_sec' are 2 an"
    ):
        Limit('latency_sec', 2.0, 1.0)


def test_a_finding_names_the_limit_it_exceeds():
    limit = Limit('latency_sec', 0.1, 0.5)
    assert judged(limit, 0.2, 'p95 200 ms', 's') == Finding(Level.WARN, 'p95 200 ms, limit 0.1 s')
    assert judged(limit, 0.6, 'p95 600 ms', 's').text.endswith('limit 0.5 s')
    assert judged(limit, 0.05, 'p95 50 ms', 's') == Finding(Level.OK, 'p95 50 ms')


def test_the_worst_finding_speaks():
    ok, warn = Finding(Level.OK, 'fine'), Finding(Level.WARN, 'slow')
    assert worst(ok, warn, Finding(Level.WARN, 'late')) == Finding(Level.WARN, 'slow; late')
    assert worst(ok, ok) == Finding(Level.OK, 'fine; fine')


def test_shares_are_those_of_the_window():
    window = CounterWindow(10.0)
    for second in range(31):
        held = max(0, second - 20) * 10
        window.add(float(second), {'holds': held, 'commands': second * 20})
    assert window.growth('commands') == 200
    assert window.share_percent('holds', 'commands') == 50.0
    assert window.share_percent('holds', 'nothing') == 0.0


def test_a_counter_that_falls_starts_the_window_anew():
    """Counters run from activation; a difference across two of them once was negative."""
    window = CounterWindow(10.0)
    window.add(0.0, {'holds': 100, 'commands': 1000})
    window.add(1.0, {'holds': 0, 'commands': 0})
    window.add(2.0, {'holds': 1, 'commands': 20})
    assert window.share_percent('holds', 'commands') == 5.0
