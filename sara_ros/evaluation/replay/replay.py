"""One policy on one recording, in bag time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
import time
from typing import Any

from sara_ros.core import ObservationError, ObservationSpec, ParameterError, Policy
from sara_ros.core.observation_buffer import Sample
from sara_ros.decoding.observations import check_stamp, decode
from sara_ros.decoding.stamps import to_ns
from sara_ros.decoding.transforms import StaticTransforms
from sara_ros.evaluation.replay.bag_clock import BagClock
from sara_ros.evaluation.replay.bag_time import BagTimeLoop, Delivery
from sara_ros.evaluation.replay.frames import FrameStrip
from sara_ros.evaluation.replay.mapping import ReplayMap
from sara_ros.evaluation.replay.messages import BagError, BagMessage, Source, at, plausible
from sara_ros.evaluation.replay.recorded_actions import RecordedActions
from sara_ros.evaluation.replay.topic_choice import (
    actions_of,
    instruction_in,
    instruction_topic_of,
    topic_of,
)
from sara_ros.evaluation.replay.trace import Trace, TraceRecorder

Watch = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class ReplaySettings:
    """
    How to replay.

    :param latency_ms: time of the recording that the policy takes for an answer.
    :param frames: most pictures to keep for the report.
    """

    known: ReplayMap = field(default_factory=ReplayMap)
    latency_ms: float = 0.0
    frames: int = 0


@dataclass(frozen=True, slots=True)
class Replayed:
    """
    What came of it.

    :param topics: topic by the name of the observation.
    :param instructions: what the runs followed, in the order of their first appearance.
    :param instruction_topic: where these came from; empty where the recording as a whole says it.
    :param broken: why the recording ended early; empty when it did not.
    :param missing: by topic, how many messages came and how many there should be.
    """

    source: Source
    trace: Trace
    recorded: RecordedActions
    topics: dict[str, str]
    instructions: tuple[str, ...]
    instruction_topic: str
    wall_sec: float
    span_ns: tuple[int, int]
    broken: str = ''
    missing: dict[str, tuple[int, int]] = field(default_factory=dict)


def replay(
    source: Source,
    policy: Policy,
    settings: ReplaySettings,
    watch: Watch = lambda done, total: None,
) -> Replayed:
    """
    Play ``source`` to ``policy`` and return what it did.

    :param watch: told how many messages there have been, and how many there will be.
    :raises ParameterError: when the map does not fit the recording and the policy.
    :raises BagError: when the policy fails; the message names the recording and the stamp.
    """
    return _Replay(source, policy, settings, watch).run()


class _Replay:
    def __init__(
        self, source: Source, policy: Policy, settings: ReplaySettings, watch: Watch
    ) -> None:
        self._source = source
        self._known = known = settings.known
        self._watch = watch
        self._spec = spec = policy.spec
        self._transforms = StaticTransforms(known.static_transforms)
        self._topics = {
            need.name: topic_of(need, spec, source, known).name for need in spec.observations
        }
        self._needs: dict[str, list[ObservationSpec]] = {}
        for need in spec.observations:
            self._needs.setdefault(self._topics[need.name], []).append(need)
        sources = actions_of(source, spec.action.kind, known)
        self._recorded = RecordedActions(spec.action, sources, known)
        self._instructing = instruction_topic_of(source, known)
        self._instructions: dict[str, None] = {}
        self._trace = Trace(spec, frames=FrameStrip(settings.frames))
        self._span_ns: list[int] = []
        self._broken = ''
        self._missing: dict[str, tuple[int, int]] = {}
        self._clock = BagClock()
        driver = self._topics[spec.driver.name]
        self._recorder = recorder = TraceRecorder(self._trace, self._clock, driver)
        self._loop = BagTimeLoop(
            policy, recorder, recorder, self._clock,
            instruction=self._instruction(), latency_ms=settings.latency_ms,
        )  # fmt: skip

    def run(self) -> Replayed:
        began = time.monotonic()
        self._loop.play(self._deliveries())
        trace = self._trace
        if trace.failure:
            raise BagError(
                f"{self._source.name}: policy '{self._spec.model_id}' failed at "
                f'{at(trace.failed_ns)}: {trace.failure}'
            )
        if self._instructing and not self._instructions:
            raise ParameterError(
                f"{self._source.name}: topic '{self._instructing}' never says what was to be "
                'done; give --instruction'
            )
        trace.drops = self._loop.drops.counts()
        trace.clipped_values = self._loop.loop.guard.clipped_values
        trace.in_run_holds = self._loop.holds
        span_ns = (self._span_ns[0], self._span_ns[-1]) if self._span_ns else (0, 0)
        return Replayed(
            self._source, trace, self._recorded, dict(self._topics),
            tuple(self._instructions) or (self._loop.instruction,), self._instructing,
            time.monotonic() - began, span_ns, self._broken, self._missing,
        )  # fmt: skip

    def _instruction(self) -> str:
        """Return what the runs begin with; empty when a topic will say."""
        if self._instructing:
            return ''
        chosen = self._known.instruction or self._source.instruction
        if not chosen and len(self._spec.instructions) == 1:
            chosen = self._spec.instructions[0]
        if not chosen:
            raise ParameterError(
                f'{self._source.name} does not say what was to be done; give --instruction, or '
                'instruction or instruction_topic in the map'
            )
        return chosen

    def _wanted(self) -> set[str]:
        return {*self._needs, *self._recorded.topics} | ({self._instructing} - {''})

    def _deliveries(self) -> Iterator[Delivery]:
        wanted = self._wanted()
        announced = {each.name: each.count for each in self._source.topics if each.name in wanted}
        total = sum(announced.values())
        came = dict.fromkeys(announced, 0)
        try:
            for done, message in enumerate(self._source.messages(wanted)):
                if self._trace.failure:
                    return
                self._watch(done, total)
                came[message.topic] += 1
                try:
                    plausible(message.log_ns)
                except ObservationError as err:
                    self._trace.problems.add(message.topic, message.log_ns, err)
                    continue
                yield self._delivery(message)
        except BagError as err:
            # Raised here it would pass through the policy that waits for the next message.
            self._broken = str(err)
            return
        self._missing = {
            name: (came[name], count) for name, count in announced.items() if came[name] != count
        }

    def _delivery(self, message: BagMessage) -> Delivery:
        at_ns = message.log_ns
        if self._known.clock == 'header':
            # An undecodable message is reported when it is delivered.
            with suppress(Exception):
                at_ns = to_ns(message.read().header.stamp) or at_ns
        return Delivery(at_ns, partial(self._deliver, message))

    def _deliver(self, message: BagMessage) -> None:
        self._span_ns[1:] = [self._clock()]
        topic, began = message.topic, time.perf_counter()
        try:
            content = message.read()
            stamp_ns = self._stamp_ns(content, message.log_ns)
            if topic == self._instructing:
                self._follow(instruction_in(content))
            if topic in self._recorded.topics:
                self._recorded.add(topic, content, message.log_ns)
        except Exception as err:  # no message may end the replay
            self._trace.problems.add(topic, message.log_ns, err)
            if topic not in self._needs or not isinstance(err, ObservationError):
                return
        for need in self._needs.get(topic, ()):
            self._loop.begin()
            self._store(need, content, stamp_ns)
        if topic in self._needs:
            self._trace.measure('decode', (time.perf_counter() - began) * 1e3)

    def _follow(self, instruction: str | None) -> None:
        if instruction is None:
            return
        if instruction:
            self._instructions[instruction] = None
        self._loop.instruct(instruction)

    def _stamp_ns(self, content: Any, log_ns: int) -> int:
        header = getattr(content, 'header', None)
        return log_ns if header is None else plausible(to_ns(header.stamp))

    def _store(self, need: ObservationSpec, content: Any, stamp_ns: int) -> None:
        drives, now_ns = need.name == self._spec.driver.name, self._clock()
        self._trace.received += drives
        try:
            check_stamp(need, stamp_ns, now_ns)
            value = decode(need, content, self._transforms)
        except Exception as err:  # no message may end the replay
            reason = err.reason if isinstance(err, ObservationError) else 'undecodable'
            self._loop.drops.add(reason)
            self._trace.problems.add(self._topics[need.name], stamp_ns, err)
            return
        value.flags.writeable = False
        self._recorder.received(value, stamp_ns)
        self._loop.buffer.add(need.name, Sample(value, stamp_ns, now_ns, now_ns))
        if drives:
            self._loop.look_again_after_wait()
