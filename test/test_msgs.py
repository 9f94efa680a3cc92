"""The compiled interfaces import, and cross Fast DDS unchanged."""

from __future__ import annotations

import importlib
from pathlib import Path
import re
import time

import pytest

rclpy = pytest.importorskip('rclpy')
pytest.importorskip('sara_ros_msgs')

from builtin_interfaces.msg import Time  # noqa: E402
from geometry_msgs.msg import Twist, Vector3  # noqa: E402
from rclpy.executors import SingleThreadedExecutor  # noqa: E402
from rclpy.serialization import deserialize_message, serialize_message  # noqa: E402

from sara_ros_msgs.action import RunPolicy  # noqa: E402
from sara_ros_msgs.msg import (  # noqa: E402
    ActionChunk,
    EndEffectorAction,
    StageStatistics,
    TimingSummary,
)

MESSAGES = Path(__file__).resolve().parents[1] / 'sara_ros_msgs'
INTERFACES = sorted(
    (kind, p.stem) for kind in ('msg', 'srv', 'action') for p in MESSAGES.glob(f'{kind}/*')
)


@pytest.mark.parametrize(('kind', 'name'), INTERFACES)
def test_interface_is_compiled(kind, name):
    interface = getattr(importlib.import_module(f'sara_ros_msgs.{kind}'), name)
    interface.__class__.__import_type_support__()
    assert interface.__class__._TYPE_SUPPORT is not None


def test_action_crosses_between_nodes(ros_context):
    sent = EndEffectorAction(
        observation_stamp=Time(sec=12, nanosec=34),
        model_id='reach',
        sequence=2**40,
        delta=Twist(linear=Vector3(x=0.01), angular=Vector3(z=-0.5)),
        gripper_opening=0.25,
        terminate=True,
    )
    sent.header.frame_id = 'base_link'
    assert exchange(ros_context, sent) == sent


def exchange(context, message):
    """Publish in one node until another one has received it."""
    received = []
    executor = SingleThreadedExecutor(context=context)
    sender, receiver = (rclpy.create_node(n, context=context) for n in ('sender', 'receiver'))
    publisher = sender.create_publisher(type(message), 'topic', 1)
    receiver.create_subscription(type(message), 'topic', received.append, 1)
    executor.add_node(receiver)
    deadline = time.monotonic() + 10.0
    while not received and time.monotonic() < deadline:
        publisher.publish(message)
        executor.spin_once(timeout_sec=0.1)
    executor.shutdown()
    sender.destroy_node()
    receiver.destroy_node()
    assert received, 'nothing arrived within 10 s'
    return received[0]


def test_nested_arrays_survive():
    summary = TimingSummary(
        stages=[StageStatistics(stage='inference', count=3, p50_ms=1.5)],
        drop_reasons=['too_old'],
        drop_counts=[7],
    )
    copy = deserialize_message(serialize_message(summary), TimingSummary)
    assert copy == summary


def test_chunk_values_keep_single_precision():
    chunk = ActionChunk(horizon=2, dimension_names=['x'], values=[0.5, -0.25])
    copy = deserialize_message(serialize_message(chunk), ActionChunk)
    assert list(copy.values) == [0.5, -0.25]


def test_reason_constants_are_their_names_in_lower_case():
    names = re.findall(
        r'^string ([A-Z_]+)=', (MESSAGES / 'action/RunPolicy.action').read_text(), re.M
    )
    assert len(names) >= 10
    assert [getattr(RunPolicy.Result, name) for name in names] == [n.lower() for n in names]
