"""Topics that are polled: which message comes out, in which order, and what no executor sees."""

import time

from nodes.host import until
import numpy as np
import pytest
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.serialization import serialize_message
from sensor_msgs.msg import JointState

from sara_ros.nodes import qos
from sara_ros.nodes.polled import PolledTopic, _stamp_ns
from sara_ros.nodes.ros_time import to_ns
from sara_ros.nodes.state_codec import encode_joint_state

LATER_NS = 10**15


def joints(stamp_ns):
    """Return a joint state with this stamp."""
    return encode_joint_state(('a', 'b'), np.zeros(2), stamp_ns=stamp_ns)


@pytest.fixture
def polled(context):
    """Return a polled topic that a publisher has found."""
    node = Node('polled', context=context)
    topic = PolledTopic(node, JointState, 'joint_states', qos.STATE)
    publisher = node.create_publisher(JointState, 'joint_states', qos.SENSOR)
    until(lambda: publisher.get_subscription_count() == 1, 'discovery')

    def publish(*stamps_ns):
        for stamp_ns in stamps_ns:
            publisher.publish(joints(stamp_ns))
        until(lambda: topic._collect() or len(topic._waiting) >= len(stamps_ns), 'the messages')

    topic.publish, topic.node = publish, node
    yield topic
    topic.close()
    node.destroy_node()


def stamps(messages):
    """Return the stamps of messages."""
    return [to_ns(message.header.stamp) for message in messages]


def test_the_newest_that_is_not_newer_comes_first(polled):
    """Later ones stay for later, and none comes twice."""
    polled.publish(1, 2, 3, 4, 5)
    assert stamps(polled.newest_first(3, LATER_NS)) == [3, 2, 1]
    assert stamps(polled.newest_first(3, LATER_NS)) == []
    assert stamps(polled.newest_first(9, LATER_NS)) == [5, 4]


def test_taking_one_forgets_the_older_ones(polled):
    """What a newer state has replaced is never decoded."""
    polled.publish(1, 2, 3)
    assert to_ns(next(polled.newest_first(3, LATER_NS)).header.stamp) == 3
    assert stamps(polled.newest_first(3, LATER_NS)) == []


def test_impossible_stamps_come_out_to_be_refused(polled):
    """A publisher whose clock is ahead would otherwise be ignored without a word."""
    polled.publish(1, LATER_NS + 1)
    assert stamps(polled.newest_first(2, LATER_NS)) == [LATER_NS + 1, 1]


def test_the_latest_message_whatever_its_stamp(polled):
    """A recorder wants the last picture that arrived."""
    polled.publish(5, 3)
    assert to_ns(polled.newest().header.stamp) == 3
    assert polled.newest() is None


def test_messages_wake_no_executor(polled):
    """An executor that spins sees nothing of them, and they are still there afterwards."""
    executor = SingleThreadedExecutor(context=polled.node.context)
    executor.add_node(polled.node)
    polled.publish(1)
    end = time.monotonic() + 0.2
    while time.monotonic() < end:
        executor.spin_once(timeout_sec=0.05)
    executor.shutdown()
    assert stamps(polled.newest_first(1, LATER_NS)) == [1]


@pytest.mark.parametrize('stamp_ns', [0, 1, 1_795_376_000_123_456_789])
def test_the_stamp_is_read_without_decoding(stamp_ns):
    """The stamp comes first in every message with a header."""
    assert _stamp_ns(serialize_message(joints(stamp_ns))) == stamp_ns


def test_both_byte_orders_are_read():
    """The second byte of a serialised message tells its byte order."""
    assert _stamp_ns(bytes([0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 3])) == 2_000_000_003
    assert _stamp_ns(bytes([0, 1, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0])) == 2_000_000_003
    assert _stamp_ns(b'\0\1\0\0') == 0
