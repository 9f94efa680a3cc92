"""What a policy did on a recording."""

from __future__ import annotations

from array import array
from collections import Counter
from dataclasses import dataclass, field
import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sara_ros.core import ActionChunk, Observation, ObservationError, PolicySpec
from sara_ros.core.run import RunResult, TerminationReason
from sara_ros.core.serving import Command
from sara_ros.evaluation.replay.bag_clock import BagClock
from sara_ros.evaluation.replay.frames import FrameStrip
from sara_ros.evaluation.replay.problems import Problems

Floats = NDArray[np.float64]


@dataclass(slots=True)
class Trace:
    """
    Commands and chunks of a replay, in order, as plain numbers.

    :param times_ns: instant of each command, on the clock of the recording.
    :param stamps_ns: stamp of the observation behind it; 0 for a hold.
    :param steps: place of the action in its chunk.
    :param chunk_stamps_ns: stamp of the observation behind each chunk.
    :param in_run_holds: holds for want of a fresh action, until the recording ended.
    :param states: what the robot reported with each chunk, in the dimensions of the action.
    :param seen: stamp of each observation by its name, by the stamp of the driving one.
    :param measured_ms: durations on this machine, which differ from run to run.
    """

    spec: PolicySpec
    times_ns: array[int] = field(default_factory=lambda: array('q'))
    stamps_ns: array[int] = field(default_factory=lambda: array('q'))
    steps: array[int] = field(default_factory=lambda: array('i'))
    holds: array[int] = field(default_factory=lambda: array('b'))
    rows: list[NDArray[np.float32]] = field(default_factory=list)
    chunk_stamps_ns: array[int] = field(default_factory=lambda: array('q'))
    chunks: list[NDArray[np.float32]] = field(default_factory=list)
    states: list[NDArray[np.float32]] = field(default_factory=list)
    seen: dict[int, dict[str, int]] = field(default_factory=dict)
    measured_ms: dict[str, array[float]] = field(default_factory=dict)
    ends: Counter[str] = field(default_factory=Counter)
    drops: dict[str, int] = field(default_factory=dict)
    problems: Problems = field(default_factory=Problems)
    received: int = 0
    clipped_values: int = 0
    in_run_holds: int = 0
    failure: str = ''
    failed_ns: int = 0
    frames: FrameStrip = field(default_factory=FrameStrip)

    @property
    def values(self) -> Floats:
        """Commands, shape ``(N, dimensions)``."""
        return _matrix(self.rows, len(self.spec.action.names))

    @property
    def chosen(self) -> NDArray[np.bool_]:
        """Which commands the policy chose, shape ``(N,)``: the others are holds."""
        return ~np.array(self.holds, bool)

    def state_matrix(self) -> Floats:
        """Return the states, shape ``(chunks, dimensions)``, NaN where none is reported."""
        return _matrix(self.states, len(self.spec.action.names))

    def sha256(self) -> str:
        """Return a hash of every command: equal hashes mean equal actions to the last bit."""
        parts = (
            np.array(self.times_ns, '<i8'), np.array(self.stamps_ns, '<i8'),
            np.array(self.holds, 'i1'), _matrix(self.rows, len(self.spec.action.names), '<f4'),
        )  # fmt: skip
        digest = hashlib.sha256()
        for part in parts:
            digest.update(np.ascontiguousarray(part).tobytes())
        return digest.hexdigest()

    def measure(self, name: str, milliseconds: float) -> None:
        """Note a duration on this machine."""
        self.measured_ms.setdefault(name, array('d')).append(milliseconds)


class TraceRecorder:
    """Listens to a serving loop, and to the policy's real durations."""

    def __init__(self, trace: Trace, clock: BagClock, driver: str) -> None:
        """
        Write into ``trace``.

        :param driver: topic of the driving observation.
        """
        self._trace = trace
        self._clock = clock
        self._driver = driver
        self._state = _StatePicker(trace.spec)
        self._stamps_ns: dict[int, int] = {}

    def received(self, value: NDArray[Any], stamp_ns: int) -> None:
        """Note the stamp of a value that an observation may hold."""
        # By its place in memory: keeping the values would keep the whole recording.
        self._stamps_ns[id(value)] = stamp_ns

    def command(self, command: Command) -> None:
        """Note a command."""
        trace = self._trace
        trace.times_ns.append(self._clock())
        trace.stamps_ns.append(command.observation_stamp_ns)
        trace.steps.append(command.step)
        trace.holds.append(command.hold)
        trace.rows.append(np.array(command.values, np.float32))

    def chunk(self, chunk: ActionChunk) -> None:
        """Note a chunk."""
        self._trace.chunk_stamps_ns.append(chunk.timing.stamp_ns)
        self._trace.chunks.append(np.array(chunk.values, np.float32))

    def finished(self, result: RunResult) -> None:
        """Note the end of a run."""
        self._trace.ends[result.reason.value] += 1
        if result.reason is TerminationReason.MODEL_ERROR:
            self._trace.failure, self._trace.failed_ns = result.message, self._clock()

    def add(self, observation: Observation, timing_ns: dict[str, int]) -> None:
        """Note how long the policy really took, and what it saw."""
        compute_ns = 0
        for stage in ('preprocess', 'inference'):
            compute_ns += timing_ns.get(stage, 0)
            self._trace.measure(stage, timing_ns.get(stage, 0) * 1e-6)
        self._trace.measure('compute', compute_ns * 1e-6)
        self._trace.states.append(self._state(observation))
        self._trace.seen[observation.timing.stamp_ns] = {
            name: self._stamps_ns.get(id(value), 0) for name, value in observation.values.items()
        }
        self._trace.frames.offer(observation, self._trace.spec)

    def refused(self, observation: Observation, err: ObservationError) -> None:
        """Note what the policy could not act on, by the topic that drives it."""
        self._trace.problems.add(self._driver, observation.timing.stamp_ns, err)


class _StatePicker:
    """Finds the robot's own joint positions in an observation, in the order of the action."""

    def __init__(self, spec: PolicySpec) -> None:
        self._size = len(spec.action.names)
        self._need = ''
        self._places: list[int] = []
        if spec.action.kind != 'joint_positions':
            return
        for need in spec.observations:
            if need.kind != 'joint_positions':
                continue
            if set(spec.action.names) <= set(need.names):
                self._need = need.name
                self._places = [need.names.index(name) for name in spec.action.names]
            elif len(need.names) == self._size and not self._need:
                self._need, self._places = need.name, list(range(self._size))

    def __call__(self, observation: Observation) -> NDArray[np.float32]:
        if not self._need:
            return np.full(self._size, np.nan, np.float32)
        return np.asarray(observation[self._need], np.float32)[self._places]


def _matrix(rows: list[NDArray[np.float32]], size: int, kind: str = '<f8') -> NDArray[Any]:
    return np.stack(rows).astype(kind) if rows else np.zeros((0, size), kind)
