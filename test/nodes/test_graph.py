"""Simulator, policy and model manager as processes of their own, over real Fast DDS."""

from pathlib import Path
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

rclpy = pytest.importorskip('rclpy')

from diagnostic_msgs.msg import DiagnosticArray  # noqa: E402
from geometry_msgs.msg import PoseStamped  # noqa: E402
from nodes.host import until  # noqa: E402
from std_msgs.msg import Bool  # noqa: E402

from sara_ros.decoding.states import decode_objects  # noqa: E402
from sara_ros.nodes import qos  # noqa: E402
from sara_ros.nodes.ros_time import to_time  # noqa: E402
from sara_ros.sim.scene import OBJECTS  # noqa: E402
from sara_ros_msgs.msg import EndEffectorAction, ObjectStates, TimingSummary  # noqa: E402
from sara_ros_msgs.srv import ListModels, ResetScene  # noqa: E402

LONG_TASK = 'place the green block on the disc'
STILL_AFTER_SEC, STILL_FOR_SEC, STILL_M = 0.15, 1.0, 0.001


class Process:
    """A node of this package in a process of its own, with a log."""

    def __init__(self, folder: Path, module, *arguments):
        self.log = folder / f'{module}_{time.monotonic_ns()}.log'
        command = [sys.executable, '-m', f'sara_ros.nodes.{module}', '--ros-args', *arguments]
        with self.log.open('wb') as output:
            self._process = subprocess.Popen(command, stdout=output, stderr=output)

    def end(self, number):
        """Send a signal and return the exit code."""
        self._process.send_signal(number)
        return self._process.wait(20)

    def kill(self):
        """Make sure that it is gone."""
        self._process.kill()
        self._process.wait()


def parameters(**values):
    """Return values as command line arguments."""
    return [part for name, value in values.items() for part in ('-p', f'{name}:={value}')]


@pytest.fixture(scope='module')
def graph(domain, tmp_path_factory):
    """Start the three processes; the policy is the scripted expert."""
    folder = tmp_path_factory.mktemp('graph')
    small = parameters(front_width_px=64, front_height_px=48, wrist_size_px=16, points_width_px=16)
    processes = [
        Process(folder, 'simulator', *small),
        Process(folder, 'policy', *parameters(model='scripted_expert')),
        Process(folder, 'model_manager', *parameters(summary_period_sec=0.2)),
    ]
    yield folder
    codes = [process.end(signal.SIGTERM) for process in processes]
    for process in processes:
        process.kill()
    assert codes == [0, 0, 0]


@pytest.fixture(scope='module')
def ee_poses(graph, station):
    """Collect where the gripper is."""
    poses = station.collect(PoseStamped, 'ee_pose', qos.SENSOR)
    until(lambda: poses, 'the simulator')
    return poses


@pytest.fixture(scope='module')
def policy(ee_poses, station):
    """Return the client of the policy process."""
    client = station.policy()
    client.wait(lambda status: status.observations_received > 5)
    return client


@pytest.fixture
def second(graph, ee_poses, station):
    """Return another policy process, which moves the same arm, and its client."""
    name = f'second_{time.monotonic_ns()}'
    process = Process(
        graph, 'policy', '-r', f'__node:={name}', '-r', '~/action:=policy/action',
        *parameters(model='scripted_expert'),
    )  # fmt: skip
    client = station.policy(name)
    client.wait(lambda status: status.observations_received > 5)
    yield process, client
    process.kill()


def reset(station, seed, instruction=''):
    """Start an episode and return the answer."""
    request = ResetScene.Request(seed=seed, instruction=instruction)
    return station.call(ResetScene, 'simulator/reset_scene', request)


def test_the_expert_succeeds(policy, station):
    success = station.collect(Bool, 'simulator/success', qos.LATCHED)
    assert reset(station, 3, 'reach the red block').success
    result = policy.run('reach the red block', timeout_sec=30.0)
    assert result.termination_reason == 'terminate'
    assert result.commands > 3
    until(lambda: success and success[-1].data, 'success')
    assert policy.status.learned is False


def test_a_canceled_run_leaves_the_arm_still(policy, station, ee_poses):
    reset(station, 4)
    actions = station.collect(EndEffectorAction, 'policy/action')
    handle = policy.send(LONG_TASK)
    until(lambda: len(actions) > 8)
    station.answer(handle.cancel_goal_async())
    assert policy.result(handle)[1].termination_reason == 'canceled'
    assert_still(ee_poses)


def assert_still(ee_poses):
    """Check that the gripper stays where it is, a moment after the last command."""
    time.sleep(STILL_AFTER_SEC)
    ee_poses.clear()
    time.sleep(STILL_FOR_SEC)
    points = [message.pose.position for message in list(ee_poses)]
    path = np.array([(point.x, point.y, point.z) for point in points])
    assert len(path) >= 5
    assert np.ptp(path, axis=0).max() < STILL_M


def test_a_killed_policy_leaves_the_arm_still(second, station, ee_poses):
    process, client = second
    reset(station, 5)
    actions = station.collect(EndEffectorAction, 'policy/action')
    client.send(LONG_TASK)
    until(lambda: len(actions) > 8)
    before = np.array([ee_poses[0].pose.position.z, ee_poses[-1].pose.position.z])
    assert process.end(signal.SIGKILL) == -signal.SIGKILL
    assert np.ptp(before) > STILL_M  # it was moving
    assert_still(ee_poses)


def test_a_terminated_policy_answers_its_goal_and_ends_with_zero(second, station):
    """The goal once stayed open: nobody ran callbacks any more when its run ended."""
    process, client = second
    reset(station, 6)
    actions = station.collect(EndEffectorAction, 'policy/action')
    handle = client.send(LONG_TASK)
    answer = handle.get_result_async()
    until(lambda: len(actions) > 3)
    assert process.end(signal.SIGTERM) == 0
    assert station.answer(answer).result.termination_reason == 'shutdown'
    sent = len(actions)
    time.sleep(0.3)
    assert len(actions) == sent
    assert 'Traceback' not in process.log.read_text()


def test_the_model_manager_tells_the_timing(policy, station):
    summaries = station.collect(TimingSummary, 'model_manager/timing')
    diagnostics = station.collect(DiagnosticArray, '/diagnostics')
    reset(station, 7)
    policy.run(LONG_TASK, max_steps=40)
    summary = until(
        lambda: next((s for s in summaries if s.stages and s.stages[0].count > 20), None)
    )
    assert summary.model_id == 'scripted_expert'
    assert 10 < summary.command_rate_hz < 21
    assert summary.stages[-1].stage == 'sensor_to_command'
    assert 0 < summary.stages[-1].p50_ms < 1000
    until(
        lambda: (
            {'/model_manager: policy', '/model_manager: timing', '/simulator: simulation'}
            <= {status.name for array in diagnostics for status in array.status}
        )
    )
    values = [each for array in diagnostics for status in array.status for each in status.values]
    assert [each.key for each in values if not each.key.endswith(')')] == []
    assert station.call(ListModels, 'model_manager/list_models') is not None


@pytest.fixture(scope='module')
def objects(ee_poses, station):
    """Collect where the objects are."""
    states = station.collect(ObjectStates, 'objects', qos.SENSOR)
    until(lambda: states)
    return states


def layout(station, objects, seed):
    """Return the poses of the objects of an episode."""
    answer = reset(station, seed)
    assert list(answer.object_names) == list(OBJECTS)
    seen = len(objects)
    until(lambda: len(objects) > seen + 3)
    return decode_objects(objects[-1], OBJECTS)


def test_the_same_seed_gives_the_same_objects(station, objects):
    one, two, again = (layout(station, objects, seed) for seed in (11, 12, 11))
    np.testing.assert_allclose(one, again, atol=1e-4)
    assert np.abs(one - two).max() > 0.01


def test_an_instruction_nobody_can_judge_is_refused(station, objects):
    before = layout(station, objects, 13)
    answer = reset(station, 14, 'juggle the blocks')
    assert not answer.success
    assert "unknown instruction 'juggle the blocks'; try" in answer.message
    np.testing.assert_allclose(decode_objects(objects[-1], OBJECTS), before, atol=1e-4)


def command(dx_m, *, age_sec=0.0):
    message = EndEffectorAction(gripper_opening=1.0)
    message.header.stamp = to_time(time.time_ns() - int(age_sec * 1e9))
    message.delta.linear.x = dx_m
    return message


def position(ee_poses):
    """Return where the gripper is now."""
    seen = len(ee_poses)
    until(lambda: len(ee_poses) > seen + 1)
    point = ee_poses[-1].pose.position
    return np.array([point.x, point.y, point.z])


@pytest.mark.parametrize(
    ('message', 'obeyed'),
    [
        (lambda: command(0.02), True),
        (lambda: command(0.02, age_sec=0.5), False),
        (lambda: EndEffectorAction(), False),
        (lambda: command(float('nan')), False),
    ],
    ids=['fresh', 'expired', 'without a stamp', 'nan'],
)
def test_only_fresh_and_finite_commands_move_the_arm(station, ee_poses, message, obeyed):
    reset(station, 15)
    publisher = station.publisher(EndEffectorAction, 'policy/action')
    time.sleep(0.3)
    before = position(ee_poses)
    publisher.publish(message())
    time.sleep(0.5)
    moved = np.linalg.norm(position(ee_poses) - before)
    assert (moved > 0.01) == obeyed
    assert moved < 0.03
    assert_still(ee_poses)
