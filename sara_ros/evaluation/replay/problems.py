"""What could not be used, by topic and reason, each with its first example."""

from __future__ import annotations

from dataclasses import dataclass

from sara_ros.core import ObservationError
from sara_ros.core.errors import describe
from sara_ros.evaluation.replay.messages import at


@dataclass(slots=True)
class Problem:
    """
    Messages of one topic that failed for one reason.

    :param stamp_ns: of the first of them; ``message`` says what was wrong with it.
    """

    topic: str
    reason: str
    stamp_ns: int
    message: str
    count: int = 0

    def text(self, bag: str) -> str:
        """Return it for people."""
        times = f'{self.count} times' if self.count > 1 else 'once'
        return (
            f"{bag}: topic '{self.topic}', {self.reason} ({times}, first at stamp "
            f'{at(self.stamp_ns)}): {self.message}'
        )


class Problems:
    """Counts problems in the order of their first appearance."""

    def __init__(self) -> None:
        """Start without any."""
        self._found: dict[tuple[str, str], Problem] = {}

    def add(self, topic: str, stamp_ns: int, err: Exception) -> None:
        """Count a message that raised ``err``."""
        reason = err.reason if isinstance(err, ObservationError) else 'undecodable'
        key = topic, reason
        if key not in self._found:
            self._found[key] = Problem(topic, reason, stamp_ns, describe(err))
        self._found[key].count += 1

    def __iter__(self):  # type: ignore[no-untyped-def]
        """Yield every :class:`Problem`."""
        return iter(self._found.values())
