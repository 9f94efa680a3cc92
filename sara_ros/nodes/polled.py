"""Topics that are read when a value is needed, rather than whenever a message arrives."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from struct import unpack_from
from typing import Any, Final

from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.serialization import deserialize_message

from sara_ros.nodes.ros_time import NS

ENCAPSULATION_BYTES: Final = 4
"""In front of every serialised message; the second one tells the byte order."""
STAMP_BYTES: Final = 8


class PolledTopic:
    """
    Keeps the latest messages of a topic as serialised bytes until one is asked for.

    Joint states come at 100 to 1000 Hz, a policy looks at them once per picture. A message that
    wakes an executor costs the better part of a millisecond of Python, taken from a model that
    wants the interpreter as well. Here no message wakes anyone, and only the wanted ones are
    decoded.

    :param kind: message type that begins with a ``std_msgs/Header``.
    :param profile: its depth is how many messages are kept.
    :raises NameValidationException: for a topic that has no valid name.
    """

    def __init__(self, node: Node, kind: type, topic: str, profile: QoSProfile) -> None:
        """Subscribe."""
        self._node = node
        self._kind = kind
        self._waiting: deque[tuple[int, bytes]] = deque(maxlen=profile.depth)
        self._subscription = node.create_subscription(
            kind, topic, lambda _: None, profile, callback_group=_NeverReady(), raw=True
        )

    def close(self) -> None:
        """Unsubscribe."""
        self._node.destroy_subscription(self._subscription)

    def newest_first(self, until_ns: int, now_ns: int) -> Iterator[Any]:
        """
        Yield the messages stamped up to ``until_ns``, the newest first, and forget them.

        Those between ``until_ns`` and ``now_ns`` wait for a later call. Stamps beyond ``now_ns``
        can only be wrong, and are yielded for whoever checks stamps.

        :param until_ns: the instant that a message is wanted for, ROS time.
        :param now_ns: the newest stamp that is plausible, ROS time.
        """
        self._collect()
        due = [not until_ns < stamp_ns <= now_ns for stamp_ns, _ in self._waiting]
        count = len(due) - due[::-1].index(True) if True in due else 0
        taken = [self._waiting.popleft()[1] for _ in range(count)]
        for serialised in reversed(taken):
            yield deserialize_message(serialised, self._kind)

    def newest(self) -> Any | None:
        """Return the message that arrived last, if one did since the last call."""
        self._collect()
        serialised = self._waiting[-1][1] if self._waiting else None
        self._waiting.clear()
        return serialised and deserialize_message(serialised, self._kind)

    def _collect(self) -> None:
        handle = self._subscription.handle
        with handle:
            while (taken := handle.take_message(self._kind, True)) is not None:
                self._waiting.append((_stamp_ns(taken[0]), taken[0]))


class _NeverReady(CallbackGroup):
    """Keeps its entities out of the wait set of every executor."""

    def can_execute(self, entity: Any) -> bool:
        """Return False: the messages are taken by hand."""
        return False

    def beginning_execution(self, entity: Any) -> bool:
        """Return False, as nothing is executed."""
        return False

    def ending_execution(self, entity: Any) -> None:
        """Do nothing."""


def _stamp_ns(serialised: bytes) -> int:
    """Return the stamp of a serialised message; 0, which is refused, where there is none."""
    if len(serialised) < ENCAPSULATION_BYTES + STAMP_BYTES:
        return 0
    order = '<' if serialised[1] & 1 else '>'
    sec, nanosec = unpack_from(f'{order}iI', serialised, ENCAPSULATION_BYTES)
    return int(sec) * NS + int(nanosec)
