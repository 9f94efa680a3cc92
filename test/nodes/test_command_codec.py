"""Commands, chunks and timing to messages."""

from core.fakes import action, action_spec, policy_spec
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
import numpy as np
import pytest

pytest.importorskip('rclpy')

from rclpy.serialization import deserialize_message, serialize_message

from sara_ros.core import (
    STAGES,
    ActionChunk,
    ActionDimension,
    ActionSpec,
    PolicySpec,
    TimingRecord,
)
from sara_ros.core.serving import Command
from sara_ros.decoding.actions import decode_action
from sara_ros.nodes.command_codec import (
    counts_by_reason,
    encode_action,
    encode_chunk,
    encode_timing,
    encode_trajectory,
    encode_twist,
)
from sara_ros.nodes.ros_time import NS, to_ns

SPEC = policy_spec()


def command(values, **changes):
    fields = {
        'sequence': 3, 'terminate': bool(values[0] > 0.5), 'hold': False, 'warm_up': False,
        'observation_stamp_ns': 5 * NS, 'timing': None,
    }  # fmt: skip
    return Command(values=np.asarray(values, np.float32), **{**fields, **changes})


def over_the_wire(message):
    return deserialize_message(serialize_message(message), type(message))


@given(arrays(np.float32, 8, elements=st.floats(-1, 1, width=32)), st.booleans())
def test_action_round_trip(values, terminate):
    values[0] = terminate
    message = over_the_wire(encode_action(command(values), SPEC, now_ns=7 * NS))
    np.testing.assert_array_equal(decode_action(message), values)
    assert message.terminate == terminate
    assert (to_ns(message.header.stamp), to_ns(message.observation_stamp)) == (7 * NS, 5 * NS)
    assert (message.header.frame_id, message.model_id, message.sequence) == (
        'base_link',
        'fake',
        3,
    )


def test_a_twist_is_the_displacement_as_a_velocity():
    message = encode_twist(command(action(0.02)), SPEC, now_ns=NS)
    assert message.twist.linear.x == pytest.approx(0.02 * action_spec().rate_hz)
    assert (to_ns(message.header.stamp), message.header.frame_id) == (NS, 'base_link')


def test_a_trajectory_reaches_its_target_within_a_period():
    joints = tuple(ActionDimension(name, 'rad', -3, 3) for name in 'ab')
    spec = PolicySpec(
        'm', 'rt2', SPEC.observations, ActionSpec('joint_positions', joints, '', 25.0)
    )
    message = encode_trajectory(command(np.array([0.25, -0.5])), spec, now_ns=NS)
    (point,) = message.points
    assert message.joint_names == ['a', 'b']
    assert list(point.positions) == [0.25, -0.5]
    assert to_ns(point.time_from_start) == NS // 25


def test_a_chunk_keeps_rows_and_units():
    values = np.arange(16, dtype=np.float32).reshape(2, 8)
    chunk = ActionChunk(values[:, ::1], TimingRecord(5 * NS, 0))
    message = over_the_wire(encode_chunk(chunk, SPEC, sequence=9, now_ns=NS))
    np.testing.assert_array_equal(np.reshape(message.values, (message.horizon, -1)), values)
    assert len(message.dimension_names) == len(message.dimension_units) == 8
    assert (message.sequence, message.rate_hz) == (9, action_spec().rate_hz)


def test_timing_has_a_duration_per_stage_and_their_sum():
    """A clock that is behind the sensor's makes the transport negative, not the message wrong."""
    timing = TimingRecord.received(stamp_ns=5 * NS, received_ros_ns=5 * NS - 1000, received_ns=0)
    for index, stage in enumerate(STAGES[1:], start=1):
        timing = timing.mark(stage, index * 10_000_000)
    message = over_the_wire(encode_timing(command(action()), timing, SPEC, now_ns=6 * NS))
    assert to_ns(message.transport) == -1000
    assert to_ns(message.publish) == 10_000_000
    total = sum(to_ns(getattr(message, stage)) for stage in STAGES)
    assert to_ns(message.sensor_to_command) == total == 50_000_000 - 1000


def test_counts_become_two_lists():
    assert counts_by_reason({'late': 2, 'frame': 1}) == {
        'drop_reasons': ['late', 'frame'], 'drop_counts': [2, 1],
    }  # fmt: skip
