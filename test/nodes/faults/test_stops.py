"""Whatever breaks while the arm moves, it stands still within a command period and 100 ms."""

import signal
from threading import Event
import time

import numpy as np
import pytest

rclpy = pytest.importorskip('rclpy')

from core.fakes import chunk_of  # noqa: E402
from geometry_msgs.msg import PoseStamped  # noqa: E402
from nodes.faults.arm import PERIOD_NS, SPACE, Arm, Mover, Process, moving  # noqa: E402
from nodes.faults.marks import some_always  # noqa: E402
from nodes.host import DEACTIVATE, until  # noqa: E402
from std_srvs.srv import Trigger  # noqa: E402

from sara_ros.evaluation.fault_report import periods_lost  # noqa: E402
from sara_ros.nodes import qos  # noqa: E402
from sara_ros.nodes.ros_time import NS, to_ns, to_time  # noqa: E402

LONG_TASK = 'place the green block on the disc'
WATCHDOG_SEC = 0.4


@pytest.fixture(scope='module')
def arm(station, domain, tmp_path_factory):
    simulated = Arm(station, tmp_path_factory.mktemp('arm'))
    yield simulated
    simulated.process.kill()


@pytest.fixture
def start(context, station, space, arm, monkeypatch):
    """Return a function that has a policy of the test's own move the arm."""
    return lambda policy, **parameters: moving(
        context, station, arm, policy, monkeypatch, **parameters
    )


def note(outcome, arm, result, cause_ns):
    """Fill in how a run that was to end did end."""
    outcome.seen = f'{result.termination_reason}: {result.message}'
    outcome.time_to_stop_ms = arm.stopped_ms(cause_ns)
    outcome.commands_lost = arm.lost()


def hang(observation):
    Event().wait(1.2)
    raise TimeoutError('nobody waits any more')


def nothing_but_nan(observation):
    return chunk_of(observation, np.full(8, np.nan, np.float32))


def out_of_memory(observation):
    raise MemoryError('cannot allocate 64 GiB')


def broken(observation):
    raise RuntimeError('shapes do not match')


@pytest.mark.parametrize(
    ('name', 'misbehave', 'reason', 'text'),
    some_always([
        ('the model hangs in act', hang, 'no_fresh_chunk', 'chunk_timeout_sec=0.4'),
        ('the model returns NaN', nothing_but_nan, 'model_error', 'is nan'),
        ('the model raises an error', broken, 'model_error', 'shapes do not match'),
        ('the model runs out of memory in act', out_of_memory, 'model_error', '64 GiB'),
    ], 'the model hangs in act', 'the model returns NaN'),
)  # fmt: skip
def test_a_model_that_fails(start, arm, fault, name, misbehave, reason, text):
    policy = Mover()
    with (
        fault(name, f'the arm holds, the run ends with {reason}') as outcome,
        start(policy) as (_, client, handle),
    ):
        policy.misbehave = misbehave
        result = client.result(handle)[1]
        note(outcome, arm, result, policy.misbehaved_ns)
        assert result.termination_reason == reason
        assert text in result.message


@pytest.mark.parametrize('way', some_always(['stop', 'deactivate', 'halt'], 'stop'))
def test_an_operator_who_stops(start, station, arm, fault, way):
    names = {
        'stop': ('~/stop is called', 'canceled'),
        'deactivate': ('the node is deactivated', 'deactivated'),
        'halt': ('the node is told to halt beside its executor', 'shutdown'),
    }
    name, reason = names[way]
    with (
        fault(name, f'the stop action goes out, the run ends with {reason}') as outcome,
        start(Mover()) as (host, client, handle),
    ):
        cause_ns = time.time_ns()
        if way == 'stop':
            station.call(Trigger, 'policy/stop')
        elif way == 'deactivate':
            assert station.transition(DEACTIVATE)
        else:
            host.node.halt()
        result = client.result(handle)[1]
        note(outcome, arm, result, cause_ns)
        assert result.termination_reason == reason
        assert arm.commands[-1].hold


class Relay:
    """Passes the arm's pose on, or what ``change`` makes of it; ``None`` passes nothing on."""

    def __init__(self, station):
        self.topic = f'{station.namespace}/relayed'
        self.change = lambda message: message
        self.changed_ns = 0
        self._publisher = station.node.create_publisher(PoseStamped, self.topic, qos.SENSOR)
        station.node.create_subscription(
            PoseStamped, f'{SPACE}/ee_pose', self._pass_on, qos.SENSOR
        )

    def publish(self, message):
        self._publisher.publish(message)

    def _pass_on(self, message):
        passed = self.change(message)
        if passed is message:
            self.changed_ns = time.time_ns() + PERIOD_NS  # when the next one is due
        if passed is not None:
            self.publish(passed)


def restamped(message, stamp_ns):
    return PoseStamped(pose=message.pose, header=type(message.header)(
        stamp=to_time(stamp_ns), frame_id=message.header.frame_id
    ))  # fmt: skip


@pytest.mark.parametrize(
    ('name', 'change', 'dropped'),
    some_always([
        ('the sensor goes silent', lambda message: None, ''),
        ('stamps are 2 s late',
         lambda message: restamped(message, to_ns(message.header.stamp) - 2 * NS), 'late'),
        ('stamps are zero', lambda message: restamped(message, 0), 'zero_stamp'),
        ('stamps lie 2 s ahead',
         lambda message: restamped(message, to_ns(message.header.stamp) + 2 * NS), 'future'),
    ], 'the sensor goes silent'),
)  # fmt: skip
def test_a_sensor_that_fails(start, station, arm, fault, name, change, dropped):
    relay = Relay(station)
    expected = 'the arm holds, the run ends with no_fresh_observation'
    with (
        fault(name, expected) as outcome,
        start(Mover(), **{'topics.ee_pose': relay.topic}) as (_, client, handle),
    ):
        relay.change = change
        result = client.result(handle)[1]
        note(outcome, arm, result, relay.changed_ns)
        assert result.termination_reason == 'no_fresh_observation'
        assert dropped in client.drops or not dropped


def test_stamps_out_of_order(start, station, arm, fault):
    """Each pose is followed by the one before it, which must not be acted on."""
    relay = Relay(station)
    with (
        fault(
            'stamps out of order', 'old ones are dropped and counted, the run goes on'
        ) as outcome,
        start(Mover(), **{'topics.ee_pose': relay.topic}) as (_, client, handle),
    ):

        def twice(message):
            relay.publish(message)
            return restamped(message, to_ns(message.header.stamp) - 60_000_000)

        relay.change = twice
        seen = len(arm.commands)
        until(lambda: len(arm.commands) > seen + 25)
        moves = [each for each in arm.commands[seen:] if not each.hold]
        client.wait(lambda status: client.drops.get('out_of_order', 0) > 15)
        outcome.seen = f'run goes on; dropped: {client.drops}'
        outcome.commands_lost = arm.lost()
        assert len(moves) > 15
        stamps = [to_ns(each.observation_stamp) for each in moves]
        assert stamps == sorted(stamps)


class Graph:
    """Policy and model manager in processes of their own, moving the arm."""

    def __init__(self, station, folder):
        log = folder / f'policy_{time.monotonic_ns()}.log'
        topics = {
            f'topics.{name}': f'{SPACE}/{topic}'
            for name, topic in (
                ('objects', 'objects'), ('ee_pose', 'ee_pose'), ('finger_joint', 'joint_states'),
            )
        }  # fmt: skip
        self._station = station
        self._folder = folder
        self._namespace = namespace = ('-r', f'__ns:={station.namespace}')
        self.policy = Process(
            log, 'policy', *namespace, '-r', f'~/action:={SPACE}/action',
            model='scripted_expert', **topics, observation_timeout_sec=WATCHDOG_SEC,
        )  # fmt: skip
        self.manager = None
        self.client = station.policy()
        self.client.wait(lambda status: status.observations_received > 5)

    def start_manager(self):
        """Start the model manager and wait until it listens."""
        self.manager = Process(self._folder / 'manager.log', 'model_manager', *self._namespace)
        status = self._station.in_namespace('policy/status')
        listeners = self._station.node.get_subscriptions_info_by_topic
        until(
            lambda: 'model_manager' in [each.node_name for each in listeners(status)],
            'the model manager',
        )

    def begin(self, arm):
        """Start a run from the home position and return its goal."""
        arm.reset(seed=5)
        handle = self.client.send(LONG_TASK)
        # The simulator may find a new publisher seconds after this process does.
        until(lambda: arm.way_m() > 0.02, 'the arm to move')
        until(lambda: len(arm.commands) > 8, 'commands')
        return handle

    def kill(self):
        self.policy.kill()
        if self.manager is not None:
            self.manager.kill()


@pytest.fixture
def graph(station, space, arm, tmp_path):
    started = Graph(station, tmp_path)
    yield started
    started.kill()


def test_sigkill_of_the_policy(graph, arm, fault):
    with fault('SIGKILL of the policy', 'the last command expires, the arm stands still') as it:
        graph.begin(arm)
        cause_ns = graph.policy.send(signal.SIGKILL)
        it.time_to_stop_ms = arm.stopped_ms(cause_ns)
        it.commands_lost = arm.lost()
        it.seen = f'exit code {graph.policy.wait()}; no further command; the arm stands still'


@pytest.mark.faults
@pytest.mark.slow
def test_sigterm_of_the_policy(graph, arm, fault):
    with fault('SIGTERM of the policy', 'the stop action goes out, goal: shutdown, exit 0') as it:
        handle = graph.begin(arm)
        answer = handle.get_result_async()
        cause_ns = graph.policy.send(signal.SIGTERM)
        code = graph.policy.wait()
        until(answer.done, 'the result')
        note(it, arm, answer.result().result, cause_ns)
        it.seen += f'; exit code {code}'
        assert code == 0
        assert it.seen.startswith('shutdown')
        assert arm.commands[-1].hold


@pytest.mark.faults
@pytest.mark.slow
def test_sigkill_of_the_model_manager(graph, arm, fault):
    with fault('SIGKILL of the model manager', 'the policy goes on undisturbed') as it:
        graph.start_manager()
        graph.begin(arm)
        graph.manager.send(signal.SIGKILL)
        graph.manager.wait()
        seen = len(arm.commands)
        until(lambda: len(arm.commands) > seen + 10)
        it.commands_lost = arm.lost()
        it.seen = 'commands go on'
        assert graph.policy.alive


@pytest.mark.faults
@pytest.mark.slow
def test_sigkill_of_the_simulator(graph, arm, fault):
    """The last test with this arm; a new one finds the policy ready."""
    expected = 'holds go out, the run ends with no_fresh_observation, the next one works'
    with fault('SIGKILL of the simulator (robot and sensors vanish)', expected) as it:
        handle = graph.begin(arm)
        arm.process.send(signal.SIGKILL)
        arm.process.wait()
        last_ns = to_ns(arm.poses[-1].header.stamp)
        result = graph.client.result(handle)[1]
        moves_ns = [to_ns(each.header.stamp) for each in arm.commands if any_motion(each)]
        it.time_to_stop_ms = max(0.0, (moves_ns[-1] - last_ns - PERIOD_NS) / 1e6)
        it.seen = f'{result.termination_reason}: {result.message}'
        it.commands_lost = periods_lost(
            [to_ns(each.header.stamp) for each in arm.commands], PERIOD_NS
        )
        assert result.termination_reason == 'no_fresh_observation'
        arm.start()
        graph.begin(arm)


def any_motion(command):
    linear, angular = command.delta.linear, command.delta.angular
    return any((linear.x, linear.y, linear.z, angular.x, angular.y, angular.z))
