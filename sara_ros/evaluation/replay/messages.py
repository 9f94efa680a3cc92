"""What every recording looks like to a replay: topics, and messages in the order of arrival."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from sara_ros.core import ObservationError, SaraError
from sara_ros.decoding.stamps import NS

LATEST_NS: Final = 2**62
"""In the year 2116: instants beyond it come from broken bags, and do not fit what adds to them."""


class BagError(SaraError):
    """A recording cannot be read; the message names it, the topic and the stamp."""


@dataclass(frozen=True, slots=True)
class Topic:
    """
    One topic of a recording.

    :param type: in ROS 2 style, such as ``sensor_msgs/msg/Image``.
    :param problem: why its messages cannot be read; empty when they can.
    """

    name: str
    type: str
    count: int
    problem: str = ''


@dataclass(frozen=True, slots=True)
class BagMessage:
    """
    One message, decoded when asked for.

    :param log_ns: when it was recorded, which is when a robot would have received it.
    :param read: returns an object with the fields of the message, or raises anything.
    """

    topic: str
    log_ns: int
    read: Callable[[], Any]


ACTION: Final = '/action'
"""Where LeRobot folders have their actions, and bags that were made of them."""


class Source(Protocol):
    """A recording."""

    name: str

    @property
    def kind(self) -> str:
        """What sort of recording it is."""
        ...

    @property
    def instruction(self) -> str:
        """What was to be done; empty where the recording does not say."""
        ...

    @property
    def action_kind(self) -> str:
        """What the numbers of ``/action`` are, one of ``ACTION_KINDS``; empty if unknown."""
        ...

    @property
    def topics(self) -> Sequence[Topic]:
        """Every topic, by name."""
        ...

    @property
    def notes(self) -> Sequence[str]:
        """What is wrong with the recording as a whole."""
        ...

    @property
    def unread(self) -> str:
        """
        Where the recording breaks off, and how much of it cannot be read; empty if it is whole.

        It is known from the beginning, and :meth:`messages` then ends there without an error.
        """
        ...

    def messages(self, topics: Collection[str]) -> Iterator[BagMessage]:
        """
        Yield the messages of ``topics`` by the time of recording.

        :raises BagError: where the recording breaks off, naming the last message before.
        """
        ...


def name_of(path: Path) -> str:
    """Return what a recording is called, also where its path is a dot."""
    return path.resolve().name or str(path)


def plausible(instant_ns: int) -> int:
    """
    Return an instant that is one.

    :raises ObservationError: when no clock shows it.
    """
    if not -LATEST_NS < instant_ns < LATEST_NS:
        raise ObservationError('implausible_time', f'no clock shows {at(instant_ns)} s')
    return instant_ns


def at(stamp_ns: int) -> str:
    """Return a stamp for people, in seconds with all its digits."""
    sign = '-' if stamp_ns < 0 else ''
    return f'{sign}{abs(stamp_ns) // NS}.{abs(stamp_ns) % NS:09d}'
