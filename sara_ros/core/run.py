"""One run of a policy: an instruction, its limits, and why it ended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
import math
from typing import Final

from sara_ros.core.errors import ParameterError

NS: Final = 1_000_000_000


class TerminationReason(str, Enum):
    """Why a run ended; the values are those of the RunPolicy action."""

    TERMINATE = 'terminate'
    TIMEOUT = 'timeout'
    MAX_STEPS = 'max_steps'
    CANCELED = 'canceled'
    PREEMPTED = 'preempted'
    NO_FRESH_OBSERVATION = 'no_fresh_observation'
    NO_FRESH_CHUNK = 'no_fresh_chunk'
    MODEL_ERROR = 'model_error'
    DEACTIVATED = 'deactivated'
    SHUTDOWN = 'shutdown'


class StopAction(str, Enum):
    """
    What goes out when a run has ended, whatever the reason.

    ``ZERO_THEN_SILENCE``: one command that holds still (a zero twist), then nothing more.
    ``HOLD``: holds at the command rate until the next run, or until the node is deactivated.
    """

    ZERO_THEN_SILENCE = 'zero_then_silence'
    HOLD = 'hold'

    @classmethod
    def parse(cls, text: str) -> StopAction:
        """
        Return the stop action called ``text``.

        :raises ParameterError: when there is none.
        """
        try:
            return cls(text)
        except ValueError:
            known = ', '.join(each.value for each in cls)
            raise ParameterError(f"stop_action is '{text}'; known: {known}") from None


@dataclass(frozen=True, slots=True)
class RunLimits:
    """
    When a run ends by itself; 0 means no limit for ``timeout_sec`` and ``max_steps``.

    :param observation_timeout_sec: longest silence of the driving sensor.
    :param chunk_timeout_sec: longest time without a new action chunk.
    :param startup_timeout_sec: at least so long both may last before the first command: nothing
        moves yet, and sensors can take seconds to be discovered.
    """

    timeout_sec: float = 0.0
    max_steps: int = 0
    observation_timeout_sec: float = 1.0
    chunk_timeout_sec: float = 1.0
    startup_timeout_sec: float = 0.0

    def __post_init__(self) -> None:
        """Refuse a limit that would never or at once be reached."""
        if not (math.isfinite(self.timeout_sec) and self.timeout_sec >= 0):
            raise ParameterError(
                f'timeout_sec is {self.timeout_sec}; give seconds, or 0 for no limit'
            )


@dataclass(frozen=True, slots=True)
class RunResult:
    """How a run ended."""

    reason: TerminationReason
    message: str
    commands: int
    holds: int
    duration_sec: float


@dataclass(slots=True)
class Run:
    """
    State of the run in progress, on the monotonic clock.

    ``commands`` counts actions from the policy; ``holds`` counts the periods without one.
    ``refusal`` is why the policy could not use its last observation.
    ``done`` is called once, from any thread, when the run has ended.
    """

    instruction: str
    limits: RunLimits
    done: Callable[[RunResult], None]
    started_ns: int
    observed_ns: int
    chunk_ns: int
    refusal: str = ''
    commands: int = 0
    holds: int = 0

    @classmethod
    def start(
        cls,
        instruction: str,
        limits: RunLimits,
        now_ns: int,
        done: Callable[[RunResult], None] = lambda _: None,
    ) -> Run:
        """Begin a run whose watchdogs count from now."""
        return cls(instruction, limits, done, now_ns, observed_ns=now_ns, chunk_ns=now_ns)

    def result(self, reason: TerminationReason, message: str, now_ns: int) -> RunResult:
        """Sum the run up."""
        return RunResult(reason, message, self.commands, self.holds, self.elapsed_sec(now_ns))

    def elapsed_sec(self, now_ns: int) -> float:
        """Time since the start."""
        return (now_ns - self.started_ns) / NS

    def overdue(
        self, now_ns: int, *, inferring: bool, pose_ns: int | None = None
    ) -> tuple[TerminationReason, str] | None:
        """
        Return why the run must end now, or ``None`` while it may go on.

        :param inferring: the policy is busy with an observation, so only the chunk can be late.
        :param pose_ns: when the newest end-effector pose was taken, where one is needed.
        """
        limits = self.limits
        if limits.timeout_sec and self.elapsed_sec(now_ns) >= limits.timeout_sec:
            return TerminationReason.TIMEOUT, f'ran for timeout_sec={limits.timeout_sec:g} s'
        if limits.max_steps and self.commands >= limits.max_steps:
            return TerminationReason.MAX_STEPS, f'sent max_steps={limits.max_steps} commands'
        silent = self._silent(now_ns, inferring, pose_ns)
        if silent:
            return TerminationReason.NO_FRESH_OBSERVATION, silent
        waited_sec = (now_ns - self.chunk_ns) / NS
        limit = self._watchdog('chunk_timeout_sec')
        if waited_sec > limit[1]:
            return TerminationReason.NO_FRESH_CHUNK, (
                f'no action chunk for {waited_sec:.2f} s ({limit[0]}={limit[1]:g})'
            )
        return None

    def _silent(self, now_ns: int, inferring: bool, pose_ns: int | None) -> str:
        """Return which sensor has been silent for too long, empty for none."""
        name, limit_sec = self._watchdog('observation_timeout_sec')
        silent_sec = (now_ns - self.observed_ns) / NS
        if not inferring and silent_sec > limit_sec:
            return f'no usable observation for {silent_sec:.2f} s ({name}={limit_sec:g})'
        if pose_ns is not None:
            silent_sec = (now_ns - max(pose_ns, self.started_ns)) / NS
            if silent_sec > limit_sec:
                return (
                    f'no end-effector pose for {silent_sec:.2f} s ({name}={limit_sec:g}), which '
                    'the workspace needs'
                )
        return ''

    def _watchdog(self, name: str) -> tuple[str, float]:
        """Return the limit in force, by name and in seconds."""
        limit_sec: float = getattr(self.limits, name)
        if self.commands == 0 and self.limits.startup_timeout_sec > limit_sec:
            return 'startup_timeout_sec', self.limits.startup_timeout_sec
        return name, limit_sec
