"""A policy that knows how long its latest answers took."""

from __future__ import annotations

from collections import deque
import time
from typing import Final

from sara_ros.core import ActionChunk, Observation, Policy, PolicySpec
from sara_ros.core.statistics import Percentiles

WINDOW_ANSWERS: Final = 60
FEWEST_ANSWERS: Final = 20
"""Answers from which on there is a p95."""


class TimedPolicy:
    """Answers as ``policy`` does, and remembers how long each of the latest answers took."""

    def __init__(self, policy: Policy) -> None:
        """Remember nothing yet."""
        self._policy = policy
        self._durations_sec: deque[float] = deque(maxlen=WINDOW_ANSWERS)

    @property
    def spec(self) -> PolicySpec:
        """The spec of the policy."""
        return self._policy.spec

    @property
    def p95_sec(self) -> float:
        """The p95 of the latest answers; 0 while there are fewer than ``FEWEST_ANSWERS``."""
        durations_sec = list(self._durations_sec)
        if len(durations_sec) < FEWEST_ANSWERS:
            return 0.0
        return Percentiles.of(durations_sec).p95

    def act(self, observation: Observation) -> ActionChunk:
        """Answer with the policy; see :meth:`sara_ros.core.Policy.act`."""
        started_sec = time.monotonic()
        chunk = self._policy.act(observation)
        self._durations_sec.append(time.monotonic() - started_sec)
        return chunk

    def reset(self) -> None:
        """Forget history."""
        self._policy.reset()
