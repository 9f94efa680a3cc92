"""A policy on a thread of its own that answers one observation at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from threading import Condition, Thread
import time
from typing import Final

from sara_ros.core import ActionChunk, Observation, ObservationError, Policy
from sara_ros.core.courtesy import step_back
from sara_ros.core.errors import describe

JOIN_TIMEOUT_SEC: Final = 1.0


@dataclass(frozen=True, slots=True)
class Answer:
    """
    What a policy said to an observation: a chunk, or the error it raised.

    :param refused: the error is that the observation does not fit the spec.
    :param context: what came with the observation.
    """

    observation: Observation
    chunk: ActionChunk | None
    error: str
    refused: bool
    duration_ns: int
    context: object = None


class Companion:
    """
    Runs a policy beside another one, with room for one waiting observation.

    A newer observation replaces the one that waits, so whoever offers it is never held up.

    :param answered: receives every answer on the companion's thread.
    :param background: give its thread a lower priority.
    """

    def __init__(
        self,
        policy: Policy,
        *,
        answered: Callable[[Answer], None] = lambda _: None,
        background: bool = False,
    ) -> None:
        """Start the thread."""
        self.policy = policy
        self._answered = answered
        self._background = background
        self._changed = Condition()
        self._waiting: tuple[Observation, object] | None = None
        self._latest: Answer | None = None
        self._busy = False
        self._reset = False
        self._closed = False
        self.skipped = 0
        self._thread = Thread(target=self._run, name='companion', daemon=True)
        self._thread.start()

    @property
    def busy(self) -> bool:
        """Whether the policy has not returned from an answer."""
        return self._busy

    def offer(self, observation: Observation, context: object = None) -> None:
        """Hand over an observation; the one that still waits is skipped."""
        with self._changed:
            self.skipped += self._waiting is not None
            self._waiting = observation, context
            self._changed.notify_all()

    def ask(self, observation: Observation, timeout_sec: float) -> Answer | None:
        """Return the answer; ``None`` without one in time, or while busy with an earlier one."""
        deadline_sec = time.monotonic() + timeout_sec
        with self._changed:
            if self._busy:
                return None
            self._latest = None
            self._waiting = observation, None
            self._changed.notify_all()
            while not (self._latest and self._latest.observation is observation):
                left_sec = deadline_sec - time.monotonic()
                if left_sec <= 0 or self._closed:
                    self._waiting = None
                    return None
                self._changed.wait(left_sec)
            return self._latest

    def reset(self) -> None:
        """Have the policy forget history before its next answer."""
        with self._changed:
            self._reset = True

    def close(self) -> None:
        """End the thread; a policy that does not return is left behind with it."""
        with self._changed:
            self._closed = True
            self._waiting = None
            self._changed.notify_all()

    def join(self) -> None:
        """Wait a moment for the thread to end."""
        self._thread.join(JOIN_TIMEOUT_SEC)

    def _run(self) -> None:
        if self._background:
            step_back()
        while (taken := self._take()) is not None:
            answer = self._answer(*taken)
            with self._changed:
                self._busy = False
                self._latest = answer
                self._changed.notify_all()
            if not self._closed:
                self._answered(answer)

    def _take(self) -> tuple[Observation, object] | None:
        with self._changed:
            while self._waiting is None and not self._closed:
                self._changed.wait()
            taken, self._waiting = self._waiting, None
            self._busy = taken is not None
            return taken

    def _answer(self, observation: Observation, context: object) -> Answer:
        started_ns = time.monotonic_ns()
        chunk, error, refused = None, '', False
        try:
            if self._reset:
                self._reset = False
                self.policy.reset()
            chunk = self.policy.act(observation)
        except Exception as err:  # a candidate may raise anything
            error, refused = describe(err), isinstance(err, ObservationError)
        duration_ns = time.monotonic_ns() - started_ns
        return Answer(observation, chunk, error, refused, duration_ns, context)
