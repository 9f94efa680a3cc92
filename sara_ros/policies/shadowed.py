"""A policy beside which another one sees the same observations without acting."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
import time

import numpy as np

from sara_ros.core import ActionChunk, ActionSpec, Observation, Policy, PolicySpec
from sara_ros.core.action import FloatArray
from sara_ros.core.swap import fault_of
from sara_ros.policies.companion import Answer, Companion


@dataclass(frozen=True, slots=True)
class Comparison:
    """
    One observation as the active policy and its shadow answered it.

    :param candidate: the shadow's chunk; ``None`` where ``error`` says why it cannot be used.
    :param skipped: observations so far that the shadow was too busy for.
    """

    active: ActionChunk
    candidate: ActionChunk | None
    error: str
    active_ns: int
    candidate_ns: int
    skipped: int

    def difference(self) -> FloatArray:
        """
        Return the largest absolute difference of each dimension over the common steps.

        Shape ``(dimensions,)``; zeros without a usable answer.
        """
        if self.candidate is None:
            return np.zeros(self.active.values.shape[1], np.float32)
        steps = min(self.active.horizon, self.candidate.horizon)
        difference = np.abs(self.active.values[:steps] - self.candidate.values[:steps])
        return np.asarray(difference.max(axis=0), np.float32)

    def difference_share(self, spec: ActionSpec) -> float:
        """Return the largest difference as a share of its dimension's range."""
        return float(np.max(self.difference() / (spec.high - spec.low)))


@dataclass(frozen=True, slots=True)
class _Acted:
    """What the active policy returned, and how long it took."""

    chunk: ActionChunk
    duration_ns: int


class ShadowedPolicy:
    """
    Answers as the active policy does, and then shows the observation to the shadow.

    The shadow has a thread of its own and room for one waiting observation, so it never holds
    the active policy up; what it is too slow for is skipped and counted.

    :param compared: receives each comparison on the shadow's thread.
    """

    def __init__(
        self, active: Policy, candidate: Policy, compared: Callable[[Comparison], None]
    ) -> None:
        """Start the shadow's thread."""
        self._active = active
        self._compared = compared
        self._shadow = Companion(candidate, answered=self._compare, background=True)

    @property
    def spec(self) -> PolicySpec:
        """The spec of the active policy."""
        return self._active.spec

    def act(self, observation: Observation) -> ActionChunk:
        """Answer with the active policy; see :meth:`sara_ros.core.Policy.act`."""
        started_ns = time.monotonic_ns()
        chunk = self._active.act(observation)
        acted = _Acted(chunk, time.monotonic_ns() - started_ns)
        self._shadow.offer(observation, acted)
        return chunk

    def reset(self) -> None:
        """Forget history."""
        self._active.reset()
        self._shadow.reset()

    def close(self) -> Companion:
        """End the shadow's thread and return the shadow."""
        self._shadow.close()
        return self._shadow

    def _compare(self, answer: Answer) -> None:
        acted = answer.context
        if not isinstance(acted, _Acted):
            return
        error = answer.error
        if answer.chunk is not None:
            error = fault_of(answer.chunk, self._active.spec.action)
        self._compared(
            Comparison(
                active=acted.chunk,
                candidate=None if error else answer.chunk,
                error=error,
                active_ns=acted.duration_ns,
                candidate_ns=answer.duration_ns,
                skipped=self._shadow.skipped,
            )
        )
