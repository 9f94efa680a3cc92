"""Hands out one action per command period from the newest action chunk."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from threading import Lock

from sara_ros.core.action import ActionChunk, FloatArray
from sara_ros.core.timing import TimingRecord


@dataclass(frozen=True, slots=True)
class QueuedAction:
    """
    One action waiting for its command period.

    ``step`` counts the actions of its chunk from 0. ``first_of_chunk`` marks the command whose
    latency is its observation's sensor-to-command time; later steps of a chunk are older by
    design.
    """

    values: FloatArray
    timing: TimingRecord
    uncertainty: float | None
    first_of_chunk: bool
    step: int
    model_id: str = ''


class ChunkQueue:
    """
    The newest chunk, minus the steps that went out while it was being computed.

    Delay is counted in consumed actions, not in estimated seconds: a chunk that took ``d``
    command periods to compute starts at its step ``d``. At least its last step is kept, so a
    policy with a horizon of one always acts.
    """

    def __init__(self) -> None:
        """Start empty."""
        self._actions: deque[QueuedAction] = deque()
        self._consumed = 0
        self._lock = Lock()

    @property
    def consumed(self) -> int:
        """Actions handed out so far; read it before computing a chunk."""
        with self._lock:
            return self._consumed

    def put(self, chunk: ActionChunk, *, consumed_before: int) -> None:
        """Replace what is left by ``chunk``, begun when ``consumed`` was ``consumed_before``."""
        with self._lock:
            skipped = min(self._consumed - consumed_before, chunk.horizon - 1)
            self._actions = deque(
                QueuedAction(
                    values=chunk.values[step],
                    timing=chunk.timing,
                    uncertainty=_at(chunk.uncertainty, step),
                    first_of_chunk=step == skipped,
                    step=step,
                    model_id=chunk.model_id,
                )
                for step in range(skipped, chunk.horizon)
            )

    def pop(self) -> QueuedAction | None:
        """Return the action of this command period, or ``None`` when there is no fresh one."""
        with self._lock:
            if not self._actions:
                return None
            self._consumed += 1
            return self._actions.popleft()

    def clear(self) -> None:
        """Discard what is left, for a stop or the start of a run."""
        with self._lock:
            self._actions.clear()


def _at(values: FloatArray | None, step: int) -> float | None:
    return None if values is None else float(values[step])
