"""The clock of a recording, and a policy that takes its time of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
import time
from typing import Protocol

from sara_ros.core import ActionChunk, Observation, ObservationError, Policy, PolicySpec


class Measure(Protocol):
    """Where measured durations go, in seconds; they change nothing."""

    def add(self, observation: Observation, timing_ns: dict[str, int]) -> None:
        """Take the durations of one call of the policy and what it saw."""
        ...

    def refused(self, observation: Observation, err: ObservationError) -> None:
        """Take an observation that the policy cannot act on, and why."""
        ...


class BagClock:
    """Stands still until it is told to move, and never goes back."""

    def __init__(self) -> None:
        """Start at zero."""
        self.now_ns = 0

    def __call__(self) -> int:
        """Return the instant of the recording."""
        return self.now_ns

    def advance_to(self, at_ns: int) -> None:
        """Move on; earlier instants change nothing."""
        self.now_ns = max(self.now_ns, at_ns)


class DeclaredLatency:
    """
    A policy that answers after ``latency_ns`` of the recording's time, however fast it is.

    :param pass_time: lets the recording go on for that long.
    :param measure: is told how long the policy really took.
    """

    def __init__(
        self,
        policy: Policy,
        clock: BagClock,
        latency_ns: int,
        pass_time: Callable[[int], None],
        measure: Measure,
    ) -> None:
        """Wrap ``policy``."""
        self._policy = policy
        self._clock = clock
        self._latency_ns = latency_ns
        self._pass_time = pass_time
        self._measure = measure

    @property
    def spec(self) -> PolicySpec:
        """What the policy needs, what it returns, and at which rate."""
        return self._policy.spec

    def act(self, observation: Observation) -> ActionChunk:
        """Choose the next actions; see :class:`Policy`."""
        # The policy marks its stages on the machine's clock, which the recording's knows not.
        started = replace(
            observation, timing=replace(observation.timing, mark_ns=time.monotonic_ns())
        )
        try:
            chunk = self._policy.act(started)
        except ObservationError as err:
            self._measure.refused(observation, err)
            raise
        self._measure.add(observation, dict(chunk.timing.stages_ns))
        timing = observation.timing.mark('preprocess', self._clock())
        if self._latency_ns:
            self._pass_time(self._clock() + self._latency_ns)
        return replace(chunk, timing=timing.mark('inference', self._clock()))

    def reset(self) -> None:
        """Forget history."""
        self._policy.reset()
