"""The timing record: contiguous stages that sum to the total."""

from hypothesis import given
from hypothesis import strategies as st
import pytest

from sara_ros.core import STAGES, TimingRecord
from sara_ros.core.errors import ParameterError
from sara_ros.core.statistics import CommandRate, Percentiles, Window


@given(
    transport=st.integers(-(10**8), 10**9),
    durations=st.lists(st.integers(0, 10**9), min_size=len(STAGES) - 1, max_size=len(STAGES) - 1),
    received=st.integers(0, 10**15),
)
def test_stages_sum_to_the_way_from_sensor_to_command(transport, durations, received):
    """The total is the transport plus all that passed on the monotonic clock since reception."""
    record = TimingRecord.received(stamp_ns=7, received_ros_ns=7 + transport, received_ns=received)
    now = received
    for stage, duration in zip(STAGES[1:], durations, strict=True):
        now += duration
        record = record.mark(stage, now)
    assert tuple(record.stages_ns) == STAGES
    assert list(record.stages_ns.values()) == [transport, *durations]
    assert record.sensor_to_command_ns == transport + now - received


def test_a_stage_marked_twice_adds_up():
    record = TimingRecord(0, 100).mark('inference', 110).mark('publish', 130)
    record = record.mark('inference', 135)
    assert dict(record.stages_ns) == {'inference': 15, 'publish': 20}


def test_marking_leaves_the_record_as_it_was():
    record = TimingRecord.received(stamp_ns=0, received_ros_ns=5, received_ns=0)
    record.mark('publish', 10)
    assert dict(record.stages_ns) == {'transport': 5}
    with pytest.raises(TypeError):
        record.stages_ns['publish'] = 1


def test_percentiles():
    summary = Percentiles.of(range(1, 102))
    assert (summary.count, summary.p50, summary.p95, summary.p99, summary.max) == (
        101, 51, 96, 100, 101,
    )  # fmt: skip
    with pytest.raises(ParameterError, match='no values'):
        Percentiles.of([])


def test_a_window_keeps_the_newest():
    window = Window(3)
    for value in range(5):
        window.add('inference', value)
    assert window.percentiles()['inference'].p50 == 3
    window.clear()
    assert window.percentiles() == {}


def test_the_command_rate_counts_what_carries_no_timing():
    """Chunks of four and holds carry timing once only; the rate once came out at a quarter."""
    rate = CommandRate(100)
    for step in range(0, 40, 4):
        rate.add(step, step * 0.05)
    assert rate.rate_hz == pytest.approx(20.0)
    assert rate.span_sec == pytest.approx(1.8)


def test_the_command_rate_leaves_out_pauses_between_runs():
    rate = CommandRate(100)
    for begin_sec in (0.0, 60.0):
        rate.pause()
        for step in range(10):
            rate.add(step, begin_sec + step * 0.05)
    assert rate.rate_hz == pytest.approx(20.0)


def test_the_command_rate_of_nothing_is_zero():
    rate = CommandRate(10)
    assert rate.rate_hz == 0.0
    rate.add(0, 1.0)
    assert (rate.rate_hz, rate.span_sec) == (0.0, 0.0)
