"""What the policy node tells of each command, and of its own process."""

import os
import time

from core.fakes import FakePolicy, action, chunk_of, policy_spec
import pytest

pytest.importorskip('rclpy')

from nodes.cameras import Camera
from nodes.host import until
import psutil
from sensor_msgs.msg import Image

from sara_ros.core import STAGES
from sara_ros.nodes.ros_time import to_ns
from sara_ros.nodes.telemetry import decode_timing
from sara_ros_msgs.msg import EndEffectorAction, InferenceTiming


def test_every_command_carries_its_timing(serve, station):
    """Holds and the later steps of a chunk once carried none."""

    def three_steps(observation):
        if len(policy.instructions) > 4:
            time.sleep(0.15)  # long enough for the chunk before to run out
        return chunk_of(observation, *(action(0.01 * step) for step in range(3)))

    policy = FakePolicy(three_steps, spec=policy_spec(horizon=3))
    _, client = serve(policy)
    timings = station.collect(InferenceTiming, 'policy/timing')
    actions = station.collect(EndEffectorAction, 'policy/action')
    with Camera(station.publisher(Image, 'image_raw')):
        client.run('go', max_steps=15)
    until(lambda: actions and len(timings) == len(actions), 'timing of every command')
    assert [each.sequence for each in timings] == [each.sequence for each in actions]
    assert [each.hold for each in timings] == [each.hold for each in actions]
    decoded = [decode_timing(each) for each in timings]
    kinds = [(each.hold, each.later_step) for each in decoded]
    assert {(False, False), (False, True), (True, False)} == set(kinds)
    for message, each in zip(timings, decoded, strict=True):
        assert sum(each.stages_ms.values()) == pytest.approx(each.total_ms)
        if each.hold:
            assert each.total_ms == 0.0
            assert each.observation_age_ms is None
            continue
        assert to_ns(message.observation_stamp) == to_ns(
            actions[timings.index(message)].observation_stamp
        )
        assert each.observation_age_ms == pytest.approx(each.total_ms, abs=20.0)
    fresh = next(each for each in decoded if each.later_step)
    before = next(each for each in decoded if each.sequence == fresh.sequence - 1)
    assert fresh.stages_ms['queue_wait'] > before.stages_ms['queue_wait'] + 10.0
    same = [stage for stage in STAGES if stage not in ('queue_wait', 'publish')]
    if not before.later_step:
        assert [fresh.stages_ms[s] for s in same] == [before.stages_ms[s] for s in same]


def test_the_status_tells_of_the_process(serve):
    _, client = serve(FakePolicy())
    first = client.wait(lambda status: status.state == 'active')
    assert first.pid == os.getpid()
    assert first.rate_hz == policy_spec().action.rate_hz
    assert first.memory_bytes == pytest.approx(psutil.Process().memory_info().rss, rel=0.2)
    started_sec = psutil.Process().create_time()
    assert first.running_sec == pytest.approx(time.time() - started_sec, abs=5.0)
    deadline = time.process_time() + 0.2
    while time.process_time() < deadline:
        pass
    spent = client.wait(lambda status: status.cpu_time_sec >= deadline)
    assert spent.cpu_time_sec > first.cpu_time_sec + 0.1
    assert spent.gpu_memory_bytes == 0
