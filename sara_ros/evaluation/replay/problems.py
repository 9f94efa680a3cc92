"""What could not be used, by topic and reason, each with its first example."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sara_ros.core import ObservationError
from sara_ros.core.errors import describe
from sara_ros.evaluation.formatting import one_line
from sara_ros.evaluation.replay.messages import at

MOST_CHARACTERS: Final = 600
"""Of a message: a joint state may hold thousands of names, and all of them would be listed."""


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
        return one_line(
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
            message = one_line(describe(err))
            if len(message) > MOST_CHARACTERS:
                message = f'{message[:MOST_CHARACTERS]}...'
            self._found[key] = Problem(topic, reason, stamp_ns, message)
        self._found[key].count += 1

    def __iter__(self):  # type: ignore[no-untyped-def]
        """Yield every :class:`Problem`."""
        return iter(self._found.values())
