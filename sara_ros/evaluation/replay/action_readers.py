"""Numbers by name from the messages that actions are recorded as."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Protocol

from sara_ros.core import ObservationError
from sara_ros.core.spec import END_EFFECTOR_DIMENSIONS
from sara_ros.decoding.actions import decode_action
from sara_ros.decoding.stamps import to_ns

MOTION: Final = END_EFFECTOR_DIMENSIONS[1:7]


class Reader(Protocol):
    """Reads numbers by name from one type of message."""

    @property
    def names(self) -> tuple[str, ...] | None:
        """Names it gives; None where they vary."""
        ...

    def read(self, message: Any) -> tuple[Sequence[str], Sequence[float]]:
        """Return names and numbers."""
        ...

    def stamp_ns(self, message: Any) -> int:
        """Return which instant the message belongs to; 0 when it does not say."""
        ...


class _Stamped:
    names: tuple[str, ...] | None = None

    def stamp_ns(self, message: Any) -> int:
        header = getattr(message, 'header', None)
        return 0 if header is None else to_ns(header.stamp)


class EndEffectorReader(_Stamped):
    """
    Our own actions; holds are refused, since no policy chose them.

    Later steps of a chunk name the observation of its first one, and belong as long after it as
    they were sent later.
    """

    names = END_EFFECTOR_DIMENSIONS

    def __init__(self) -> None:
        """Begin before the first action."""
        self._observed_ns = 0
        self._sent_ns = 0

    def read(self, message: Any) -> tuple[Sequence[str], Sequence[float]]:
        """Return names and numbers."""
        if message.hold:
            raise ObservationError('hold', 'the command is a hold, which no policy chose')
        return END_EFFECTOR_DIMENSIONS, [float(value) for value in decode_action(message)]

    def stamp_ns(self, message: Any) -> int:
        """Return the stamp of the observation behind the action, or its step's instant."""
        observed_ns, sent_ns = to_ns(message.observation_stamp), super().stamp_ns(message)
        if not observed_ns:
            return sent_ns
        if observed_ns != self._observed_ns:
            self._observed_ns, self._sent_ns = observed_ns, sent_ns
        return observed_ns + max(sent_ns - self._sent_ns, 0)


class TwistReader(_Stamped):
    """Velocities, as displacements of one command period."""

    names = MOTION

    def __init__(self, rate_hz: float) -> None:
        """Take the command rate."""
        self._rate_hz = rate_hz

    def read(self, message: Any) -> tuple[Sequence[str], Sequence[float]]:
        """Return names and numbers."""
        twist = getattr(message, 'twist', message)
        speeds = [getattr(part, axis) for part in (twist.linear, twist.angular) for axis in 'xyz']
        return MOTION, [float(speed) / self._rate_hz for speed in speeds]


class JointsReader(_Stamped):
    """One field of a joint state."""

    def __init__(self, field: str) -> None:
        """Read ``field``: position, velocity or effort."""
        self._field = field

    def read(self, message: Any) -> tuple[Sequence[str], Sequence[float]]:
        """Return names and numbers."""
        values = getattr(message, self._field)
        return message.name, _as_many(message.name, values, f'joint state, {self._field}')


class TrajectoryReader(_Stamped):
    """The first point of a joint trajectory."""

    def read(self, message: Any) -> tuple[Sequence[str], Sequence[float]]:
        """Return names and numbers."""
        if not len(message.points):
            raise ObservationError('malformed', 'joint trajectory has no points')
        positions = message.points[0].positions
        return message.joint_names, _as_many(message.joint_names, positions, 'joint trajectory')


def _as_many(names: Sequence[str], values: Sequence[float], what: str) -> Sequence[float]:
    if len(names) != len(values):
        raise ObservationError(
            'malformed', f'{what} has {len(names)} names and {len(values)} numbers'
        )
    return values
