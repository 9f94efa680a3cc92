"""The bag player node: bags on their topics, and the live graph against bag time."""

import time

from evaluation.replay.bags import (
    ACTION,
    IMAGE,
    JOINT_STATE,
    MAKER,
    MS,
    POSE,
    START_NS,
    Maker,
    arm_messages,
    write_bag,
    write_ros1_bag,
)
import numpy as np
import pytest

rclpy = pytest.importorskip('rclpy')

from diagnostic_msgs.msg import DiagnosticStatus  # noqa: E402
from nodes.host import Host, until  # noqa: E402
from rcl_interfaces.msg import Log  # noqa: E402
from rclpy.qos import DurabilityPolicy, QoSProfile  # noqa: E402
from rosgraph_msgs.msg import Clock  # noqa: E402
from sensor_msgs.msg import Image, JointState  # noqa: E402
from std_msgs.msg import String  # noqa: E402
from std_srvs.srv import Trigger  # noqa: E402

from sara_ros.core import ParameterError  # noqa: E402
from sara_ros.evaluation.replay.messages import BagError  # noqa: E402
from sara_ros.nodes import qos  # noqa: E402
from sara_ros.nodes.bag_player import BagPlayerNode  # noqa: E402
from sara_ros.nodes.ros_time import to_ns  # noqa: E402

ALL_LOGGED = QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)
COMMANDS = {
    '/policy/action': (ACTION, MAKER.action(START_NS, 0.1)),
    '/action': (JOINT_STATE, MAKER.joints(START_NS, [0, 1])),
    '/joint_commands': (JOINT_STATE, MAKER.joints(START_NS, [0, 1])),
    '/servo/targetPose': (POSE, MAKER.pose(START_NS, [0, 0, 1])),
}


@pytest.mark.parametrize('generation', [1, 2])
def test_a_bag_is_played_at_its_pace_with_every_stamp_moved_by_the_same(
    context, station, space, tmp_path, generation
):
    """Below the namespace of the player, and commands too where they are named."""
    rows = arm_messages(10, maker=Maker(ros1=generation == 1))
    path = (
        write_ros1_bag(tmp_path / 'arm.bag', rows) if generation == 1
        else write_bag(tmp_path / 'arm', rows)
    )  # fmt: skip
    topics = ['/image_raw', '/joint_states', '/action']
    with Host(context, BagPlayerNode, namespace=space, bag=str(path), topics=topics) as host:
        images = station.collect(Image, 'image_raw', qos.SENSOR)
        joints = station.collect(JointState, 'joint_states', qos.SENSOR)
        actions = station.collect(JointState, 'action', qos.SENSOR)
        told = station.collect(DiagnosticStatus, 'bag_player/progress', qos.LATCHED)
        until(lambda: told and told[-1].message == 'ready', 'the player')
        before_ns = host.node.get_clock().now().nanoseconds
        assert station.call(Trigger, 'bag_player/play').success
        assert not station.call(Trigger, 'bag_player/play').success
        until(lambda: told[-1].message == 'finished', 'the end')
        until(lambda: len(images) == len(joints) == len(actions) == 10, 'the messages')
        facts = {each.key: each.value for each in told[-1].values}
        assert facts['/image_raw'] == '10'
        shift_ns = int(facts['shift_ns'])
        assert [to_ns(each.header.stamp) - shift_ns for each in images] == [
            START_NS + row * 50 * MS for row in range(10)
        ]
        assert to_ns(images[0].header.stamp) > before_ns - 1000 * MS
        assert set(images[7].data) == {7}
        np.testing.assert_allclose(joints[7].position, [0.7, -0.7])


@pytest.mark.parametrize(
    ('parameters', 'error', 'text'),
    [
        ({'bag': '/nowhere.mcap'}, BagError, 'nowhere.mcap does not exist'),
        ({'topics': ['/nothing']}, ParameterError, "arm has no '/nothing' to play"),
    ],
)
def test_what_cannot_be_played_is_said_at_the_start(
    context, space, arm_bag_here, parameters, error, text
):
    with pytest.raises(error, match=text):
        Host(context, BagPlayerNode, namespace=space, **{'bag': str(arm_bag_here), **parameters})


def test_a_message_that_cannot_be_read_does_not_end_the_playing(context, station, space, tmp_path):
    """The player begins by itself once somebody listens."""
    rows = arm_messages(4)
    rows[5] = ('/image_raw', IMAGE, rows[5][2], b'\0\1\0\0\xff')
    path = write_bag(tmp_path / 'hurt', rows)
    parameters = {'bag': str(path), 'topics': ['/image_raw'], 'autoplay': True}
    images = station.collect(Image, 'image_raw', qos.SENSOR)
    with Host(context, BagPlayerNode, namespace=space, **parameters):
        told = station.collect(DiagnosticStatus, 'bag_player/progress', qos.LATCHED)
        until(lambda: told and told[-1].message == 'finished', 'the end')
        until(lambda: len(images) == 3, 'the messages')


def test_no_recorded_command_is_played_unless_it_is_asked_for(context, station, space, tmp_path):
    """
    The policy is told what to do, and a clock is there for those that follow one.

    Commands of types that policies observe as well used to be played.
    """
    commands = [(topic, kind, START_NS, message) for topic, (kind, message) in COMMANDS.items()]
    path = write_bag(tmp_path / 'session', [*commands, *arm_messages(4)])
    parameters = {
        'bag': str(path), 'autoplay': True, 'use_sim_time': True, 'instruction': 'reach',
    }  # fmt: skip
    said = station.collect(String, 'policy/instruction')
    clocks = station.collect(Clock, '/clock', qos.SENSOR)
    images = station.collect(Image, 'image_raw', qos.SENSOR)
    station.collect(JointState, 'joint_states', qos.SENSOR)
    logged = station.collect(Log, '/rosout', ALL_LOGGED)
    with Host(context, BagPlayerNode, namespace=space, **parameters) as host:
        until(lambda: len(images) == 4, 'the messages')
        until(lambda: clocks, 'a clock')
        assert [message.data for message in said] == ['reach']
        assert abs(to_ns(clocks[-1].clock) - time.time_ns()) < 5_000 * MS
        assert abs(to_ns(images[0].header.stamp) - time.time_ns()) < 60_000 * MS
        names = {name for name, _ in host.node.get_topic_names_and_types()}
        assert not names & {f'{space}{topic}' for topic in COMMANDS}
        until(lambda: any(_names_all(COMMANDS, each.msg) for each in logged), 'what is left out')


def _names_all(topics, text):
    return all(topic in text for topic in topics) and "'topics'" in text


@pytest.fixture
def arm_bag_here(tmp_path):
    return write_bag(tmp_path / 'arm', arm_messages(2))
