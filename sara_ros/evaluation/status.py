"""The state of a running session, as the live view and the video caption show it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sara_ros.evaluation.formatting import driver, number


@dataclass(frozen=True, slots=True)
class LiveStatus:
    """
    The episode that is running, or has just ended.

    :ivar episode: number of the episode, counted from 1.
    :ivar policy: model id of the policy that drives it.
    :ivar state: a word such as 'running', 'success' or 'failure'.
    :ivar p50_ms: sensor-to-command latency so far, as are p95 and p99; None before the first.
    """

    episode: int
    instruction: str
    policy: str
    learned: bool
    state: str = 'running'
    steps: int = 0
    command_rate_hz: float | None = None
    p50_ms: float | None = None
    p95_ms: float | None = None
    p99_ms: float | None = None
    holds: int = 0
    drops: int = 0

    @property
    def latency(self) -> str:
        """The three percentiles in milliseconds, separated by slashes."""
        values: Sequence[float | None] = (self.p50_ms, self.p95_ms, self.p99_ms)
        return ' / '.join(number(value) for value in values)

    def caption_lines(self) -> tuple[str, str, str]:
        """Return the three lines that a video frame of this moment carries."""
        rate = number(self.command_rate_hz)
        return (
            self.instruction,
            f'{self.policy} ({driver(self.learned)}) · {self.state} · step {self.steps}',
            f'{rate} Hz · sensor-to-command p50 / p95 / p99: {self.latency} ms',
        )
