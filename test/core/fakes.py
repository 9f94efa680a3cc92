"""Small specs, clocks and policies for the tests of the core."""

from __future__ import annotations

from threading import Event, Lock, Thread
import time

import numpy as np

from sara_ros.core import ActionChunk, ActionDimension, ActionSpec, ObservationSpec, PolicySpec
from sara_ros.core.drops import DropCounter
from sara_ros.core.observation_buffer import NS, ObservationBuffer, Sample
from sara_ros.core.run import RunLimits, TerminationReason
from sara_ros.core.serving import ServingLoop
from sara_ros.core.spec import END_EFFECTOR_DIMENSIONS

RATE_HZ = 50.0
CAMERA = ObservationSpec('camera', 'image', (None, None, 3), 'rgb8', max_age_sec=0.5)
ARM = ObservationSpec('arm', 'joint_positions', (2,), 'rad', max_age_sec=0.1, names=('a', 'b'))


class FakeClock:
    """A monotonic clock that only moves when told."""

    def __init__(self, now_ns=1_000 * NS):
        self.now_ns = now_ns

    def __call__(self):
        return self.now_ns

    def advance(self, seconds):
        self.now_ns += round(seconds * NS)


def action_spec(rate_hz=RATE_HZ, horizon=1):
    """Return end-effector actions of up to 0.1 in each direction."""
    dimensions = tuple(
        ActionDimension(
            name, 'm', 0.0 if index in (0, 7) else -0.1, 1.0 if index in (0, 7) else 0.1
        )
        for index, name in enumerate(END_EFFECTOR_DIMENSIONS)
    )
    return ActionSpec('end_effector_delta', dimensions, 'base_link', rate_hz, horizon)


def policy_spec(*needs, horizon=1):
    """Return the spec of a policy that needs a camera, unless told otherwise."""
    return PolicySpec('fake', 'rt2', needs or (CAMERA,), action_spec(horizon=horizon))


def action(x=0.01, *, terminate=0.0, gripper=0.25):
    """Return one action."""
    return np.array([terminate, x, 0, 0, 0, 0, 0, gripper], np.float32)


def chunk_of(observation, *rows):
    """Return a chunk of ``rows`` whose timing continues the observation's."""
    timing = observation.timing.mark('preprocess', time.monotonic_ns())
    return ActionChunk(np.stack(rows), timing.mark('inference', time.monotonic_ns()))


class FakePolicy:
    """Acts as ``answer`` says and notes what it was asked; both callables may be replaced."""

    def __init__(self, answer=None, *, spec=None, on_reset=lambda: None):
        self.spec = spec or policy_spec()
        self.answer = answer or (lambda observation: chunk_of(observation, action()))
        self.on_reset = on_reset
        self.instructions = []
        self.resets = 0

    def act(self, observation):
        self.instructions.append(observation.instruction)
        return self.answer(observation)

    def reset(self):
        self.resets += 1
        self.on_reset()


class ListSink:
    """Keeps what the serving loop sends, with the time of each command."""

    def __init__(self, on_command=lambda command: None):
        self.on_command = on_command
        self.commands = []
        self.times = []
        self.chunks = []
        self.results = []

    def command(self, command):
        self.commands.append(command)
        self.times.append(time.monotonic())
        self.on_command(command)

    def chunk(self, chunk):
        self.chunks.append(chunk)

    def finished(self, result):
        self.results.append(result)


class Bench:
    """A serving loop with a camera that delivers at ``camera_hz``; 0 for none."""

    def __init__(self, policy=None, *, camera_hz=RATE_HZ, sink=None, **options):
        self.policy = policy or FakePolicy()
        self.sink = sink or ListSink()
        self.drops = DropCounter()
        self.buffer = ObservationBuffer(
            self.policy.spec, drops=self.drops, monotonic_ns=time.monotonic_ns
        )
        self.loop = ServingLoop(self.policy, self.buffer, self.sink, self.drops, **options)
        self._stopping = Event()
        self._camera_hz = camera_hz
        self._camera = Thread(target=self._deliver, daemon=True)

    def __enter__(self):
        self.loop.start()
        if self._camera_hz:
            self._camera.start()
        return self

    def __exit__(self, *_):
        self._stopping.set()
        self.loop.stop(TerminationReason.SHUTDOWN, 'the test ended')
        if self._camera.is_alive():
            self._camera.join()

    def begin(self, instruction='go', done=lambda _: None, **limits):
        """Start a run."""
        self.loop.begin_run(instruction, RunLimits(**limits), done)

    def run(self, instruction='go', **limits):
        """Start a run and return how it ended."""
        outcome = Outcome()
        self.begin(instruction, outcome, **limits)
        return outcome.wait()

    def _deliver(self):
        while not self._stopping.wait(1 / self._camera_hz):
            self.buffer.add('camera', sample())


class Outcome:
    """Takes the result of one run; a second one is an error."""

    def __init__(self):
        self._results = []
        self._ended = Event()
        self._lock = Lock()

    def __call__(self, result):
        with self._lock:
            self._results.append(result)
        self._ended.set()

    def wait(self):
        """Return the result."""
        assert self._ended.wait(10.0), 'the run did not end'
        (result,) = self._results
        return result


def sample(stamp_ns=None, *, received_ns=None, value=None):
    """Return a sample of now."""
    now_ns = time.monotonic_ns()
    stamp_ns = now_ns if stamp_ns is None else stamp_ns
    received_ns = now_ns if received_ns is None else received_ns
    value = np.zeros((2, 2, 3), np.uint8) if value is None else value
    return Sample(value, stamp_ns, stamp_ns + 1_000_000, received_ns)


def until(condition, timeout_sec=10.0):
    """Wait until ``condition`` holds."""
    deadline = time.monotonic() + timeout_sec
    while not condition():
        assert time.monotonic() < deadline, 'nothing happened'
        time.sleep(0.005)
