"""The serving loop with real threads and small policies, none of them well behaved."""

from itertools import pairwise
import re
from threading import Event, Thread
from threading import enumerate as all_threads
import time

from core.fakes import (
    ARM,
    CAMERA,
    RATE_HZ,
    Bench,
    FakePolicy,
    ListSink,
    Outcome,
    action,
    chunk_of,
    policy_spec,
    until,
)
import numpy as np
import pytest

from sara_ros.core import ActionChunk, ObservationError, ParameterError
from sara_ros.core.guard import SafetyGuard
from sara_ros.core.limits import SafetyLimits, WorkspaceBox
from sara_ros.core.run import RunLimits, StopAction, TerminationReason
from sara_ros.core.serving import WARM_UP_COMMANDS

PERIOD_SEC = 1 / RATE_HZ


def test_nothing_is_sent_without_a_run():
    with Bench() as bench:
        time.sleep(5 * PERIOD_SEC)
        assert bench.sink.commands == []
        assert bench.policy.instructions == []
        bench.run(max_steps=2)
        sent = len(bench.sink.commands)
        time.sleep(5 * PERIOD_SEC)
        assert len(bench.sink.commands) == sent


def test_commands_are_numbered_timed_and_warm_first():
    """Sequence numbers count from 0, as the message says; they once began at 1."""
    with Bench() as bench:
        result = bench.run(max_steps=8)
    commands = bench.sink.commands
    assert result.reason is TerminationReason.MAX_STEPS
    assert result.commands == 8
    assert [command.sequence for command in commands] == list(range(len(commands)))
    fresh = [command for command in commands if not command.hold]
    assert [command.warm_up for command in fresh] == [i < WARM_UP_COMMANDS for i in range(8)]
    for command in fresh:
        assert list(command.timing.stages_ns) == [
            'transport', 'sync_wait', 'preprocess', 'inference', 'queue_wait',
        ]  # fmt: skip
        assert all(duration >= 0 for duration in command.timing.stages_ns.values())


def test_a_slow_model_makes_the_robot_hold_and_commands_keep_their_rate():
    def slow(observation):
        time.sleep(6 * PERIOD_SEC)
        return chunk_of(observation, action(0.05, gripper=0.75))

    with Bench(FakePolicy(slow)) as bench:
        bench.run(max_steps=6)
    sink = bench.sink
    holds = [command for command in sink.commands if command.hold]
    assert len(holds) > 10
    for hold in holds:
        np.testing.assert_array_equal(hold.values, action(0.0, gripper=0.75))
        assert hold.timing is None
        assert not hold.terminate
    span_sec = sink.times[-1] - sink.times[0]
    assert 0.6 * span_sec * RATE_HZ < len(sink.commands) < 1.05 * span_sec * RATE_HZ + 2


def test_missed_periods_are_counted_and_not_made_up_for():
    """A sink that blocks for five periods costs those periods; no burst follows."""
    sink = ListSink(lambda command: time.sleep(5.5 * PERIOD_SEC if command.sequence == 3 else 0))
    with Bench(sink=sink) as bench:
        bench.run(max_steps=20)
        assert bench.loop.deadline_misses >= 4
    # The phase moves by up to 2 % of a period.
    assert len(sink.times) <= (sink.times[-1] - sink.times[0]) / (0.97 * PERIOD_SEC) + 2


def test_a_hanging_model_ends_the_run_and_cannot_hold_up_a_stop():
    """The second run once blamed the sensors, although the model was still hanging."""
    release = Event()
    with Bench(FakePolicy(lambda _: release.wait())) as bench:
        first = bench.run(chunk_timeout_sec=0.3, observation_timeout_sec=0.3)
        second = bench.run(chunk_timeout_sec=0.3, observation_timeout_sec=0.3)
        started = time.monotonic()
        bench.loop.stop(TerminationReason.DEACTIVATED, 'stopped')
        assert time.monotonic() - started < 5.0
        release.set()
    for result in (first, second):
        assert result.reason is TerminationReason.NO_FRESH_CHUNK
        assert 'chunk_timeout_sec=0.3' in result.message
    assert bench.sink.commands == []


def boom(*_):
    raise ValueError('boom')


def bad_uncertainty(observation):
    chunk = chunk_of(observation, action())
    return ActionChunk(chunk.values, chunk.timing, np.zeros(3, np.float32))


@pytest.mark.parametrize(
    ('act', 'text'),
    [
        (boom, r'ValueError: boom \(test_serving.py:\d+\)'),
        (lambda _: None, 'AttributeError'),
        (bad_uncertainty, r'uncertainty has shape \(3,\)'),
        (lambda o: chunk_of(o, action(np.nan)), "dimension 'x' is nan"),
        (lambda o: chunk_of(o, action(np.inf)), "dimension 'x' is inf"),
        (lambda o: chunk_of(o, np.zeros(7, np.float32)), r'shape \(7,\).* 8 dimensions'),
    ],
)
def test_a_model_error_ends_the_run_and_not_the_worker(act, text):
    """A result that is no chunk once ended the worker thread, and with it every later run."""
    policy = FakePolicy(act)
    with Bench(policy) as bench:
        result = bench.run()
        assert result.reason is TerminationReason.MODEL_ERROR
        assert re.search(text, result.message), result.message
        assert bench.sink.commands == []
        policy.answer = FakePolicy().answer
        assert bench.run(max_steps=2).reason is TerminationReason.MAX_STEPS


def test_a_reset_that_raises_ends_the_run_and_not_the_worker():
    """An error in reset() once ended the worker thread without a word."""
    policy = FakePolicy(on_reset=boom)
    with Bench(policy) as bench:
        result = bench.run()
        assert (result.reason, result.message[:16]) == (
            TerminationReason.MODEL_ERROR, 'ValueError: boom',
        )  # fmt: skip
        policy.on_reset = lambda: None
        assert bench.run(max_steps=2).reason is TerminationReason.MAX_STEPS


def test_a_sink_that_raises_ends_the_run_and_not_the_timer():
    """An error while publishing once ended the timer thread, and the run never ended."""
    sink = ListSink(boom)
    with Bench(sink=sink) as bench:
        assert bench.run().reason is TerminationReason.MODEL_ERROR
        sink.on_command = lambda _: None
        assert bench.run(max_steps=2).reason is TerminationReason.MAX_STEPS


def test_steps_of_a_chunk_follow_each_other_and_late_ones_are_left_out():
    """While a chunk is computed the one before it goes out; its first steps are then past."""

    def four_steps(observation):
        time.sleep(2.2 * PERIOD_SEC)
        return chunk_of(observation, *(action(0.01 * step) for step in range(4)))

    policy = FakePolicy(four_steps, spec=policy_spec(horizon=4))
    with Bench(policy) as bench:
        bench.run(max_steps=20)
    fresh = [command for command in bench.sink.commands if not command.hold]
    steps = [round(float(command.values[1]) * 100) for command in fresh]
    assert steps[:2] == [0, 1]
    starts = [step for step, command in zip(steps, fresh, strict=True) if not command.later_step]
    assert any(start >= 1 for start in starts[1:])  # steps went out meanwhile
    for before, after in pairwise(fresh):
        assert after.timing.stamp_ns == after.observation_stamp_ns
        if after.later_step:
            assert after.values[1] == pytest.approx(before.values[1] + 0.01)
            assert after.observation_stamp_ns == before.observation_stamp_ns


def test_clipped_values_are_counted():
    with Bench(FakePolicy(lambda o: chunk_of(o, action(5.0)))) as bench:
        bench.run(max_steps=3)
        assert bench.loop.guard.clipped_values == 3
    assert all(command.values[1] == np.float32(0.1) for command in bench.sink.commands[:1])


def test_a_policy_ends_its_run():
    with Bench(FakePolicy(lambda o: chunk_of(o, action(terminate=1.0)))) as bench:
        result = bench.run()
        assert result.reason is TerminationReason.TERMINATE
        assert [command.terminate for command in bench.sink.commands] == [True, False]
        assert bench.loop.run is None


def test_the_last_command_of_a_run_is_a_hold():
    """A consumer of velocities went on with the last one when a run ended."""
    with Bench(FakePolicy(lambda o: chunk_of(o, action(x=0.01)))) as bench:
        bench.run(max_steps=3)
        commands = bench.sink.commands
        assert [command.hold for command in commands][-1]
        assert not commands[-1].values[1:7].any()
        assert commands[0].values[1] == pytest.approx(0.01)


def test_a_run_ends_in_time():
    with Bench() as bench:
        result = bench.run(timeout_sec=0.3)
    assert result.reason is TerminationReason.TIMEOUT
    assert 0.3 <= result.duration_sec < 3.0


def test_a_newer_run_takes_over():
    """No action of the first run goes out in the second one."""

    def reading(observation):
        time.sleep(2 * PERIOD_SEC)
        return chunk_of(observation, action(0.01 if observation.instruction == 'one' else 0.02))

    with Bench(FakePolicy(reading)) as bench:
        first = Outcome()
        bench.begin('one', first)
        until(lambda: bench.sink.commands)
        before = len(bench.sink.commands)
        second = bench.run('two', max_steps=4)
        assert first.wait().reason is TerminationReason.PREEMPTED
        assert second.commands == 4
        assert bench.policy.resets == 2
    moved = {float(c.values[1]) for c in bench.sink.commands[before:] if not c.hold}
    assert moved == {float(np.float32(0.02))}


@pytest.mark.parametrize('instruction', ['', '  \n'])
def test_an_empty_instruction_is_refused_and_the_run_goes_on(instruction):
    with Bench() as bench:
        outcome = Outcome()
        bench.begin('one', outcome, max_steps=15)
        with pytest.raises(ParameterError, match='instruction is empty'):
            bench.begin(instruction)
        assert outcome.wait().reason is TerminationReason.MAX_STEPS


def test_a_run_without_sensors_ends():
    with Bench(camera_hz=0) as bench:
        result = bench.run(observation_timeout_sec=0.2)
    assert result.reason is TerminationReason.NO_FRESH_OBSERVATION
    assert 'observation_timeout_sec=0.2' in result.message
    assert 'dropped' not in result.message


def test_a_run_that_starves_says_what_was_dropped():
    """A policy whose joint states are missing once ended with no hint at them."""
    policy = FakePolicy(spec=policy_spec(CAMERA, ARM))
    with Bench(policy) as bench:
        result = bench.run(observation_timeout_sec=0.4)
    assert result.reason is TerminationReason.NO_FRESH_OBSERVATION
    assert re.search(r'dropped since activation: \d+ missing_arm', result.message)


def test_a_policy_that_refuses_observations_ends_the_run_and_says_why():
    """Refusals were counted but nobody was told, and the model was called late."""

    def refuse(_):
        raise ObservationError('shape', "observation 'camera': expected 3 channels")

    with Bench(FakePolicy(refuse)) as bench:
        result = bench.run(observation_timeout_sec=0.3, chunk_timeout_sec=5.0)
    assert result.reason is TerminationReason.NO_FRESH_OBSERVATION
    assert 'expected 3 channels' in result.message
    assert bench.drops.counts()['shape'] >= 1


def test_an_ended_run_sends_nothing_more():
    with Bench() as bench:
        outcome = Outcome()
        bench.begin('go', outcome)
        until(lambda: len(bench.sink.commands) > 2)
        bench.loop.end_run(TerminationReason.CANCELED, 'enough')
        sent = len(bench.sink.commands)
        assert outcome.wait().message == 'enough'
        time.sleep(4 * PERIOD_SEC)
        assert len(bench.sink.commands) == sent


def test_what_is_left_of_a_chunk_goes_with_its_run():
    """The next run has no action of its own yet, so nothing may go out."""
    answers = [lambda o: chunk_of(o, *[action(0.05)] * 50)]
    policy = FakePolicy(lambda o: answers[0](o), spec=policy_spec(horizon=50))
    with Bench(policy) as bench:
        bench.begin('one')
        until(lambda: len(bench.sink.commands) > 2)
        answers[0] = lambda _: time.sleep(0.3)
        bench.loop.end_run(TerminationReason.CANCELED, 'enough')
        sent = len(bench.sink.commands)
        bench.run('two', timeout_sec=0.2)
        assert len(bench.sink.commands) == sent


def test_a_run_ends_once_whoever_ends_it():
    with Bench() as bench:
        for _ in range(20):
            outcome = Outcome()
            bench.begin('go', outcome)
            enders = [
                Thread(target=bench.loop.end_run, args=(TerminationReason.CANCELED, 'x'))
                for _ in range(4)
            ]
            for ender in enders:
                ender.start()
            for ender in enders:
                ender.join()
            outcome.wait()  # asserts a single result
        assert len(bench.sink.results) == 20


def test_threads_end_with_the_loop():
    before = set(all_threads())
    for _ in range(3):
        with Bench() as bench:
            bench.run(max_steps=1)
        assert set(all_threads()) <= before


def test_a_loop_that_never_started_stops():
    bench = Bench()
    bench.loop.stop(TerminationReason.SHUTDOWN, 'never started')


@pytest.mark.parametrize('timeout_sec', [-1.0, float('nan'), float('inf')])
def test_limits_that_cannot_be_kept_are_refused(timeout_sec):
    """A timeout of NaN once meant no timeout at all."""
    with pytest.raises(ParameterError, match='timeout_sec is'):
        RunLimits(timeout_sec=timeout_sec)


def test_holds_go_on_where_the_stop_action_says_so():
    """They bridge the time between two runs, and end with the loop."""
    with Bench(stop_action=StopAction.HOLD) as bench:
        bench.run(max_steps=2)
        sent = len(bench.sink.commands)
        until(lambda: len(bench.sink.commands) > sent + 5)
        assert all(command.hold for command in bench.sink.commands[sent:])
        bench.policy.answer = lambda _: time.sleep(0.2)  # the next run has nothing to say yet
        bench.begin('two')
        sent = len(bench.sink.commands)
        until(lambda: len(bench.sink.commands) > sent + 3)
        bench.loop.stop(TerminationReason.DEACTIVATED, 'stopped')
        sent = len(bench.sink.commands)
        time.sleep(4 * PERIOD_SEC)
        assert len(bench.sink.commands) == sent
    commands = bench.sink.commands
    assert [command.sequence for command in commands] == list(range(len(commands)))
    assert not any(command.values[1:7].any() for command in commands if command.hold)


def test_a_hang_in_reset_is_blamed_on_the_model():
    release = Event()
    with Bench(FakePolicy(on_reset=release.wait)) as bench:
        result = bench.run(chunk_timeout_sec=0.3, observation_timeout_sec=0.2)
        release.set()
    assert result.reason is TerminationReason.NO_FRESH_CHUNK


def test_a_run_waits_for_the_pose_its_workspace_needs_and_ends_without_one():
    spec = policy_spec().action
    box = WorkspaceBox.parse('0 0 0 1 1 1')
    guard = SafetyGuard(spec, SafetyLimits.of(spec, workspace=box))
    with Bench(guard=guard) as bench:
        result = bench.run(observation_timeout_sec=0.3)
        assert result.reason is TerminationReason.NO_FRESH_OBSERVATION
        assert 'no end-effector pose' in result.message
        assert bench.sink.commands == []
        bench.begin(observation_timeout_sec=0.3)
        guard.saw_pose(np.full(3, 0.5, np.float32), time.monotonic_ns())
        until(lambda: bench.sink.results[1:])
    moving = [command for command in bench.sink.commands if command.values[1:7].any()]
    assert 0 < len(moving) <= 0.2 * RATE_HZ + 1  # until the pose is too old
    assert guard.counts()['no_pose'] > 0
