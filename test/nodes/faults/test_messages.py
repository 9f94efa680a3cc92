"""Broken messages and broken time: counted, never served, and never the end of the node."""

import time

from core.fakes import CAMERA, FakePolicy, policy_spec
import pytest

rclpy = pytest.importorskip('rclpy')

from nodes.cameras import Camera  # noqa: E402
from nodes.cameras import picture as small_picture  # noqa: E402
from nodes.faults import fuzz  # noqa: E402
from nodes.faults.marks import some_always  # noqa: E402
from nodes.host import until  # noqa: E402
from rosgraph_msgs.msg import Clock  # noqa: E402
from sensor_msgs.msg import CompressedImage, Image, JointState, PointCloud2  # noqa: E402

from sara_ros.core import ObservationSpec  # noqa: E402
from sara_ros.nodes import qos  # noqa: E402
from sara_ros.nodes.ros_time import to_time  # noqa: E402
from sara_ros_msgs.msg import EndEffectorAction  # noqa: E402

BURST = 4
"""Messages at once; a best-effort subscription keeps the latest 5."""
FEW, MANY = 60, 1250
SENSORS = {
    'Image': (Image, 'image_raw', CAMERA, fuzz.picture),
    'CompressedImage': (CompressedImage, 'image_raw/compressed', CAMERA, fuzz.compressed),
    'PointCloud2': (
        PointCloud2, 'points',
        ObservationSpec('points', 'points', (None, 3), 'm', 'base_link', max_age_sec=0.5),
        fuzz.points,
    ),
    'JointState': (
        JointState, 'joint_states',
        ObservationSpec(
            'arm', 'joint_positions', (2,), 'rad', max_age_sec=0.5, names=fuzz.JOINTS
        ),
        fuzz.joints,
    ),
}  # fmt: skip


@pytest.mark.parametrize('count', some_always([FEW, MANY], FEW))
@pytest.mark.parametrize('name', SENSORS)
def test_fuzzed_messages(serve, station, fault, name, count):
    """Half of them are mutated as messages and half as bytes; then good ones are served."""
    kind, topic, need, make = SENSORS[name]
    policy = FakePolicy(spec=policy_spec(need))
    expected = 'each is served or dropped and counted; the node goes on'
    with fault(f'{2 * count} fuzzed {name} messages', expected) as outcome:
        _, client = serve(policy, **{f'topics.{need.name}': topic})
        actions = station.collect(EndEffectorAction, 'policy/action')
        publisher = station.publisher(kind, topic, qos.SENSOR)
        client.send('go')
        client.wait(lambda status: status.instruction == 'go')
        rng = fuzz.generator(len(name))
        _publish_all(publisher, make, rng, count)
        received = client.wait(lambda status: status.observations_received >= count * 0.9)
        with Camera(publisher, lambda: _now(make())):
            before = client.status.chunks
            client.wait(lambda status: status.chunks >= before + 3)
        served, dropped = client.status.chunks, sum(client.drops.values())
        outcome.seen = (
            f'{received.observations_received} decoded by ROS, {served} served, {dropped} '
            f'dropped: {", ".join(client.drops)}'
        )
        moves = [each for each in actions if not each.hold]
        assert len(moves) <= served
        assert dropped > count / 4


def _publish_all(publisher, make, rng, count):
    for number in range(2 * count):
        change = fuzz.mutated_bytes if number % 2 else fuzz.mutated
        publisher.publish(change(make, rng, time.time_ns()))
        if number % BURST == BURST - 1:
            time.sleep(0.004)


def _now(message):
    message.header.stamp = to_time(time.time_ns())
    return message


def test_time_that_jumps_back(serve, station, fault):
    """A bag that starts again sends both /clock and stamps back."""
    with fault('time jumps back by 50 s (bag loop)', 'noticed once, the run goes on') as outcome:
        _, client = serve(FakePolicy(), use_sim_time=True)
        clock = station.publisher(Clock, '/clock', qos.SENSOR)
        images = station.publisher(Image, 'image_raw', qos.SENSOR)
        client.send('go')
        client.wait(lambda status: status.instruction == 'go')
        _play(clock, images, range(100, 110))
        before = client.wait(lambda status: status.chunks >= 3).chunks
        _play(clock, images, range(50, 62))
        client.wait(lambda status: status.chunks >= before + 5)
        assert client.drops.get('time_jump') == 1
        assert client.status.instruction == 'go'
        outcome.seen = f'run goes on; dropped: {client.drops}'


def _play(clock, images, steps):
    """Publish a picture every 50 ms of a time that starts at 20 steps a second."""
    for step in steps:
        now_ns = step * 50_000_000 + (steps.start * 950_000_000)
        clock.publish(Clock(clock=to_time(now_ns)))
        time.sleep(0.02)
        message = small_picture()
        message.header.stamp = to_time(now_ns)
        images.publish(message)
        time.sleep(0.03)


def test_a_message_that_cannot_be_read_at_all(serve, station, fault):
    """Python cannot hold text that is not UTF-8, wherever it is converted."""
    with fault(
        'a header that is not UTF-8', 'the message is dropped, the node goes on'
    ) as outcome:
        _, client = serve(FakePolicy())
        publisher = station.publisher(Image, 'image_raw', qos.SENSOR)
        client.send('go')
        client.wait(lambda status: status.instruction == 'go')
        good = fuzz.picture()
        data = fuzz.serialize_message(_now(good))
        for _ in range(3):
            publisher.publish(data.replace(b'camera', b'\xff\xfe\xfd\xff\xff\xff'))
        with Camera(publisher):
            client.wait(lambda status: status.chunks >= 3)
        until(lambda: client.status.chunks >= 3)
        outcome.seen = f'run goes on; dropped: {client.drops}'
