"""Runs a policy between an observation buffer and a fixed-rate command timer."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from threading import Event, RLock, Thread
import time
from typing import Final, Protocol

from sara_ros.core.action import ActionChunk, FloatArray
from sara_ros.core.chunk_queue import ChunkQueue, QueuedAction
from sara_ros.core.command_clock import CommandSchedule, CommandTimer
from sara_ros.core.drops import DropCounter
from sara_ros.core.errors import ObservationError, ParameterError, describe
from sara_ros.core.guard import SafetyGuard, reported_joints
from sara_ros.core.observation import Observation
from sara_ros.core.observation_buffer import ObservationBuffer
from sara_ros.core.policy import Policy
from sara_ros.core.run import NS, Run, RunLimits, RunResult, StopAction, TerminationReason
from sara_ros.core.timing import TimingRecord

WARM_UP_COMMANDS: Final = 5
"""First commands of a run that are marked as warm-up and kept out of the statistics."""
STARVED: Final = (TerminationReason.NO_FRESH_OBSERVATION, TerminationReason.NO_FRESH_CHUNK)


@dataclass(frozen=True, slots=True)
class Command:
    """
    What goes to the robot in one command period.

    ``timing`` is that of the observation behind it, up to ``queue_wait``; it is ``None`` for a
    hold, which has no observation behind it. ``later_step`` tells that an earlier command had
    the same observation; its ``queue_wait`` then spans whole periods. ``step`` is the
    action's place in its chunk. ``model_id`` names the model behind it where more than one may
    serve; it is empty for a hold.
    """

    values: FloatArray
    sequence: int
    terminate: bool
    hold: bool
    warm_up: bool
    observation_stamp_ns: int
    timing: TimingRecord | None
    step: int = 0
    model_id: str = ''
    later_step: bool = False


class CommandSink(Protocol):
    """Where commands, chunks and the end of a run go; called from the serving threads."""

    def command(self, command: Command) -> None:
        """Send one command."""
        ...

    def chunk(self, chunk: ActionChunk) -> None:
        """Show the chunk the next commands come from."""
        ...

    def finished(self, result: RunResult) -> None:
        """Take note that the run ended; only the stop action is sent until the next one."""
        ...


class ServingLoop:
    """
    The way of an observation to a command: worker thread, chunk queue, guard, command timer.

    The model runs on the worker thread and the commands leave on the timer thread, so a slow
    model makes the robot hold, never the commands late. A run ends with the stop action; before
    the first run nothing is sent.
    """

    def __init__(
        self,
        policy: Policy,
        buffer: ObservationBuffer,
        sink: CommandSink,
        drops: DropCounter,
        *,
        guard: SafetyGuard | None = None,
        stop_action: StopAction = StopAction.ZERO_THEN_SILENCE,
        max_slew: float = 0.02,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """Prepare both threads; :meth:`start` runs them."""
        self._policy = policy
        self._buffer = buffer
        self._sink = sink
        self._drops = drops
        self._now_ns = monotonic_ns
        self._queue = ChunkQueue()
        self.guard = guard or SafetyGuard(policy.spec.action)
        self._stop_action = stop_action
        period_ns = round(NS / policy.spec.action.rate_hz)
        self._schedule = CommandSchedule(period_ns, start_ns=monotonic_ns(), max_slew=max_slew)
        self.timer = CommandTimer(self._schedule, self._tick, monotonic_ns=monotonic_ns)
        self._worker = Thread(target=self._work, name='policy_worker', daemon=True)
        self._stopping = Event()
        self._wanted = Event()
        self._lock = RLock()
        self._run: Run | None = None
        self._served: Run | None = None
        self._inferring = False
        self._holding = False
        self._last_values = policy.spec.action.low
        self._reported: FloatArray | None = None
        self.sequence = 0
        self.holds = 0
        self.chunks = 0
        self.deadline_misses = 0

    @property
    def run(self) -> Run | None:
        """The run in progress."""
        return self._run

    def start(self) -> None:
        """Start both threads."""
        self._worker.start()
        self.timer.start()

    def stop(self, reason: TerminationReason, message: str) -> None:
        """End the run and both threads; a model that does not return is left behind."""
        self.end_run(reason, message)
        self._holding = False
        self._stopping.set()
        self._wanted.set()
        self._buffer.close()
        self.timer.stop()
        if self._worker.is_alive():
            self._worker.join(timeout=2.0)

    def reserve(self, duration_ns: int) -> None:
        """Let chunks take ``duration_ns`` longer than now without a hold; 0 ends it."""
        self._schedule.reserve(duration_ns)

    @property
    def reserved(self) -> bool:
        """Whether what :meth:`reserve` asks for is so, as far as the slew allows it."""
        return self._schedule.reserved

    def begin_run(
        self,
        instruction: str,
        limits: RunLimits,
        done: Callable[[RunResult], None] = lambda _: None,
    ) -> None:
        """
        Start a run; one in progress ends as ``preempted``.

        :param done: called once when the run has ended, from any thread.

        :raises ParameterError: for an empty instruction; the run in progress then goes on.
        """
        if not instruction.strip():
            raise ParameterError('the instruction is empty; say what the policy should do')
        self.end_run(TerminationReason.PREEMPTED, 'a newer run took over')
        with self._lock:
            self._buffer.clear()
            self._run = Run.start(instruction, limits, self._now_ns(), done)
            self._wanted.set()

    def end_run(self, reason: TerminationReason, message: str) -> None:
        """Send the stop action and report why; does nothing without a run."""
        with self._lock:
            run = self._run
            if run is None:
                return
            self._run = None
            self._wanted.clear()
            self._queue.clear()
            self._hold_last(run)
        result = run.result(reason, message, self._now_ns())
        self._sink.finished(result)
        run.done(result)

    def _hold_last(self, run: Run) -> None:
        """Leave nothing in motion: a velocity consumer would go on with the last command."""
        if run.commands == 0:
            return
        self._hold()
        self._holding = self._stop_action is StopAction.HOLD

    def _hold(self) -> None:
        self._last_values = self._policy.spec.action.hold(self._last_values)
        with suppress(Exception):  # a sink that fails must end neither a run's end nor the timer
            self._sink.command(self._command(None))

    def _work(self) -> None:
        while not self._stopping.is_set():
            self._wanted.wait()
            self.serve(timeout_sec=0.1)

    def serve(self, *, timeout_sec: float) -> None:
        """Wait for an observation and act on it, as the worker thread does over and over."""
        run = self._run
        if run is None:
            return
        try:
            if run is not self._served:
                self._served = run
                self._reset()
            observation = self._buffer.take(run.instruction, timeout_sec=timeout_sec)
            if observation is not None:
                self._infer(run, observation)
        except Exception as err:  # a model may raise anything, and the robot must hold
            self._fail(run, err)

    def _reset(self) -> None:
        self._inferring = True  # a reset that hangs is the model's fault, not the sensors'
        try:
            self._policy.reset()
        finally:
            self._inferring = False

    def _infer(self, run: Run, observation: Observation) -> None:
        consumed = self._queue.consumed
        if run.commands == 0:
            self._reported = reported_joints(self._policy.spec, observation)
        self._inferring = True
        try:
            self._accept(run, self._policy.act(observation), consumed)
        except ObservationError as err:
            self._drops.add(err.reason)
            run.refusal = str(err)
        else:
            run.observed_ns = self._now_ns()
        finally:
            self._inferring = False

    def _accept(self, run: Run, chunk: ActionChunk, consumed_before: int) -> None:
        with self._lock:
            if run is not self._run:
                self._drops.add('run_ended')
                return
            run.chunk_ns = self._now_ns()
            self._queue.put(chunk, consumed_before=consumed_before)
            if run.commands == 0:
                self.timer.restart_phase(run.chunk_ns)
            else:
                self._schedule.arrived(run.chunk_ns)
            self.chunks += 1
        self._sink.chunk(chunk)

    def _fail(self, run: Run, err: Exception) -> None:
        with self._lock:
            if run is self._run:
                self.end_run(TerminationReason.MODEL_ERROR, describe(err))

    def _tick(self, missed: int) -> None:
        with self._lock:
            run = self._run
            if run is None:
                if self._holding:
                    self._hold()
                return
            self.deadline_misses += missed
            ended = run.overdue(
                self._now_ns(), inferring=self._inferring, pose_ns=self.guard.pose_ns
            )
            if ended is not None:
                self.end_run(ended[0], self._explained(run, *ended))
                return
            try:
                self._send(run)
            except Exception as err:  # whatever it is, the timer must outlive it
                self._fail(run, err)

    def _explained(self, run: Run, reason: TerminationReason, message: str) -> str:
        """Add what was dropped to the message of a run that starved."""
        counts = self._drops.counts()
        if reason not in STARVED or not counts:
            return message
        dropped = ', '.join(f'{count} {name}' for name, count in counts.items())
        refusal = f'; the policy refused the last one: {run.refusal}' if run.refusal else ''
        return f'{message}; dropped since activation: {dropped}{refusal}'

    def _send(self, run: Run) -> None:
        # A run begins once the workspace can be judged.
        blind = run.commands == 0 and self.guard.blind
        queued = None if blind else self._queue.pop()
        if queued is not None:
            previous = self._last_values if run.commands else self._reported
            self._last_values = self.guard.check(queued.values, previous)
            run.commands += 1
        elif run.commands == 0:
            if self._holding:
                self._hold()
            return  # nothing has moved yet in this run
        else:
            self._last_values = self._policy.spec.action.hold(self._last_values)
            run.holds += 1
            self.holds += 1
        self._holding = False
        command = self._command(queued, warm_up=run.commands <= WARM_UP_COMMANDS)
        self._sink.command(command)
        if command.terminate:
            self.end_run(TerminationReason.TERMINATE, 'the policy signalled the end')

    def _command(self, queued: QueuedAction | None, *, warm_up: bool = False) -> Command:
        sequence = self.sequence
        self.sequence += 1
        timing = None
        if queued is not None:
            timing = queued.timing.mark('queue_wait', self._now_ns())
        return Command(
            values=self._last_values,
            sequence=sequence,
            terminate=self._policy.spec.action.terminates(self._last_values),
            hold=queued is None,
            warm_up=warm_up,
            observation_stamp_ns=queued.timing.stamp_ns if queued is not None else 0,
            timing=timing,
            step=queued.step if queued is not None else 0,
            model_id=queued.model_id if queued is not None else '',
            later_step=queued is not None and not queued.first_of_chunk,
        )
