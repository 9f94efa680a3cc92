"""Nanoseconds and ROS time."""

from hypothesis import given
from hypothesis import strategies as st
import pytest

pytest.importorskip('rclpy')

from rclpy.serialization import deserialize_message, serialize_message

from sara_ros.nodes.ros_time import NS, to_duration, to_ns, to_time

STAMPS = st.integers(-(2**31) * NS, 2**31 * NS - 1)


@given(STAMPS)
def test_round_trip_through_the_wire(stamp_ns):
    """Negative ones included: nanosec stays positive, as the message demands."""
    for convert in (to_time, to_duration):
        message = convert(stamp_ns)
        assert 0 <= message.nanosec < NS
        received = deserialize_message(serialize_message(message), type(message))
        assert to_ns(received) == stamp_ns


def test_a_negative_duration_counts_from_the_second_below():
    message = to_duration(-1)
    assert (message.sec, message.nanosec) == (-1, NS - 1)
