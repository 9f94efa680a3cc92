"""The serving loop on the clock of a recording, so that its speed is nobody's business."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from sara_ros.core import Policy
from sara_ros.core.drops import DropCounter
from sara_ros.core.guard import SafetyGuard
from sara_ros.core.observation_buffer import ObservationBuffer
from sara_ros.core.run import RunLimits, TerminationReason
from sara_ros.core.serving import CommandSink, ServingLoop
from sara_ros.decoding.stamps import NS
from sara_ros.evaluation.replay.bag_clock import BagClock, DeclaredLatency, Measure

NEVER_NS: Final = 2**63 - 1
SYNC_TIMEOUT_SEC: Final = 0.02
SYNC_SLOP_SEC: Final = 0.005
LIMITS: Final = RunLimits(startup_timeout_sec=5.0)
"""The policy node's defaults."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """Something that happens at an instant of the recording."""

    at_ns: int
    deliver: Callable[[], None]


class BagTimeLoop:
    """
    The live buffer, queue, guard and command schedule, without their threads.

    Whatever is due first happens first: a message, the end of a wait for other sensors, or a
    command. While the policy thinks, messages and commands go on as they do live.

    :param instruction: of the runs, which begin with the first message and after each end.
    :param latency_ms: time of the recording that the policy takes.
    """

    def __init__(
        self,
        policy: Policy,
        sink: CommandSink,
        measure: Measure,
        clock: BagClock,
        *,
        instruction: str,
        latency_ms: float = 0.0,
    ) -> None:
        """Prepare the loop."""
        self.clock = clock
        self.drops = DropCounter()
        self.instruction = instruction
        self.buffer = ObservationBuffer(
            policy.spec,
            drops=self.drops,
            monotonic_ns=self.clock,
            slop_sec=SYNC_SLOP_SEC,
            sync_timeout_sec=SYNC_TIMEOUT_SEC,
        )
        slow = DeclaredLatency(
            policy, self.clock, round(latency_ms * 1e6), self._pass_until, measure
        )
        self.loop = ServingLoop(
            slow, self.buffer, sink, self.drops,
            guard=SafetyGuard(policy.spec.action, monotonic_ns=self.clock),
            monotonic_ns=self.clock,
        )  # fmt: skip
        self._chunk_ns = round(NS * policy.spec.action.horizon / policy.spec.action.rate_hz)
        self.holds = 0
        self._busy = False
        self._look_again_ns = NEVER_NS
        self._deliveries: Iterator[Delivery] = iter(())
        self._next: Delivery | None = None

    def play(self, deliveries: Iterator[Delivery]) -> None:
        """Let everything happen, and the last chunk be consumed."""
        self._deliveries = deliveries
        self._next = next(deliveries, None)
        while self._next is not None:
            self._step(NEVER_NS)
        self._finish(self.clock() + round(SYNC_TIMEOUT_SEC * NS))
        # Holds after the last chunk are the recording's, not the policy's.
        self.holds = self.loop.holds
        if self.loop.run is not None:
            self._finish(self.loop.run.chunk_ns + self._chunk_ns)
        self.loop.end_run(TerminationReason.CANCELED, 'the recording ended')

    def _finish(self, until_ns: int) -> None:
        while self._step(until_ns):
            pass

    def begin(self) -> None:
        """Start a run, as an operator would, unless one is in progress."""
        if self.loop.run is None and self.instruction:
            self.loop.begin_run(self.instruction, LIMITS)

    def instruct(self, instruction: str) -> None:
        """Follow another instruction, or none where it is empty; the same one changes nothing."""
        if instruction == self.instruction:
            return
        self.instruction = instruction
        if instruction:
            self.loop.begin_run(instruction, LIMITS)
        else:
            self.loop.end_run(TerminationReason.CANCELED, 'there was nothing more to do')

    def look_again_after_wait(self) -> None:
        """Have the policy look for an observation when the wait for other sensors is over."""
        self._look_again_ns = self.clock() + round(SYNC_TIMEOUT_SEC * NS)

    def _pass_until(self, until_ns: int) -> None:
        """Let the recording go on while the policy is busy."""
        self._busy, before = True, self._busy
        try:
            while self._step(until_ns):
                pass
        finally:
            self._busy = before
        self.clock.advance_to(until_ns)

    def _step(self, until_ns: int) -> bool:
        """Do what is due next; False when nothing is before ``until_ns``."""
        message_ns = NEVER_NS if self._next is None else self._next.at_ns
        look_ns = NEVER_NS if self._busy else self._look_again_ns
        tick_ns = NEVER_NS if self.loop.run is None else self.loop.timer.next_ns
        due_ns = min(message_ns, look_ns, tick_ns)
        if due_ns > until_ns or due_ns == NEVER_NS:
            return False
        self.clock.advance_to(due_ns)
        if due_ns == message_ns and self._next is not None:
            delivery, self._next = self._next, None
            delivery.deliver()
            self._next = next(self._deliveries, None)
        elif due_ns == tick_ns:
            self.loop.timer.fire()
        else:
            self._look_again_ns = NEVER_NS
        if not self._busy:
            self.loop.serve(timeout_sec=0.0)
        return True
