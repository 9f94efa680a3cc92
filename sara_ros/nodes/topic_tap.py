"""Receives topics beside the executor: serialised, in batches, on a thread of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Event, Thread
from typing import Any, Final

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.subscription import Subscription

from sara_ros.evaluation.mcap_log import Topic
from sara_ros.nodes.message_definitions import message_definition, type_name

PERIOD_SEC: Final = 0.25
DEPTH: Final = 500
"""Messages that the middleware keeps of a topic between two rounds."""

Deliver = Callable[[Topic, int, bytes], None]


class TopicTap:
    """
    Takes the messages of ``topics`` a few times a second and hands them on.

    An executor would wake up for each message and look at every entity of its node, which costs
    more than the message. The subscriptions belong to a hidden node that no executor spins.

    :param owner: node whose context and namespace are used.
    :param topics: type, name and quality of service of each topic, by its resolved name.
    :param deliver: called with topic, time of reception (ns since 1970) and serialised message,
        on the thread of the tap.
    :raises ParameterError: when the definition of a type is not installed.
    """

    def __init__(
        self, owner: Any, topics: Sequence[tuple[Any, str, QoSProfile]], deliver: Deliver
    ) -> None:
        """Subscribe, and start the thread."""
        described = [(*each, _described(*each)) for each in topics]
        self._deliver = deliver
        self._node = Node(
            f'_{owner.get_name()}_tap',
            context=owner.context,
            namespace=owner.get_namespace(),
            use_global_arguments=False,
            enable_rosout=False,
            start_parameter_services=False,
        )
        self._taps: list[tuple[Topic, Subscription]] = [
            (topic, self._node.create_subscription(kind, name, _never, _deep(profile), raw=True))
            for kind, name, profile, topic in described
        ]
        self._stopping = Event()
        self._thread = Thread(target=self._work, name='topic_tap', daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Hand on what has arrived, and unsubscribe."""
        self._stopping.set()
        self._thread.join()
        self._node.destroy_node()

    def _work(self) -> None:
        while not self._stopping.wait(PERIOD_SEC):
            self._round()
        self._round()

    def _round(self) -> None:
        for topic, subscription in self._taps:
            with subscription.handle:
                while taken := subscription.handle.take_message(subscription.msg_type, True):
                    data, info = taken
                    self._deliver(topic, int(info['received_timestamp']), data)


def _described(kind: Any, name: str, profile: QoSProfile) -> Topic:
    full = type_name(kind)
    latched = profile.durability == DurabilityPolicy.TRANSIENT_LOCAL
    return Topic(name, full, message_definition(full), latched)


def _deep(profile: QoSProfile) -> QoSProfile:
    return QoSProfile(
        history=profile.history,
        reliability=profile.reliability,
        durability=profile.durability,
        depth=DEPTH,
    )


def _never(_: bytes) -> None:
    """Stand in for the callback that no executor calls."""
