"""The bag player node: the messages of a bag on their topics, in real time, stamped now."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from itertools import chain
from pathlib import Path
import time
from typing import Any, Final

from sara_ros.core import ParameterError
from sara_ros.core.errors import describe
from sara_ros.evaluation.replay.job import Place
from sara_ros.evaluation.replay.messages import BagError, BagMessage, at
from sara_ros.evaluation.replay.ros2_messages import serialised
from sara_ros.nodes import qos
from sara_ros.nodes.parameters import ParameterSpec, declare, value
from sara_ros.nodes.playback import PlaybackNode
from sara_ros.nodes.process import run_node
from sara_ros.nodes.ros_time import NS

PARAMETERS: Final = (
    ParameterSpec('bag', '', 'Bag or LeRobot folder to play.', read_only=True),
    ParameterSpec('episode', -1, 'Episode of a LeRobot folder; -1 for a bag.', low=-1,
                  high=2**31 - 1, read_only=True),
    ParameterSpec('autoplay', False, 'Play once somebody listens, without being asked.',
                  read_only=True),
    ParameterSpec('topics', [''], 'Topics to play; empty: all of known types.', read_only=True),
)  # fmt: skip
LISTENERS_NS: Final = 5 * NS
"""Longest wait for subscribers: discovery takes seconds."""
SHIFT: Final = 'shift_ns'
"""Key of the progress: what was added to every stamp."""


class BagPlayerNode(PlaybackNode):
    """
    Plays a bag at the pace of its recording.

    Every stamp is moved by the same duration, so that ages are as they were on the robot.
    """

    def __init__(self, **kwargs: Any) -> None:
        """
        Open the bag.

        :raises BagError: when it cannot be read.
        :raises ParameterError: for a topic that it does not have or whose type is not installed.
        """
        super().__init__('bag_player', **kwargs)
        declare(self, PARAMETERS)
        episode = value(self, 'episode')
        place = Place(Path(value(self, 'bag')), episode if episode >= 0 else None)
        source = place.open()
        self._types = {topic.name: topic.type for topic in source.topics if not topic.problem}
        wanted = [topic for topic in value(self, 'topics') if topic] or list(self._types)
        missing = [topic for topic in wanted if topic not in self._types]
        if missing:
            raise ParameterError(
                f"parameter 'topics': {source.name} has no '{missing[0]}' to play"
            )
        self._outputs = {
            topic: self.create_publisher(_message_class(self._types[topic]), topic, qos.SENSOR)
            for topic in wanted
        }
        self._messages = source.messages(wanted)
        self._first: BagMessage | None = None
        self._shift_ns = 0
        if value(self, 'autoplay'):
            self.ask()
        self.start()

    def prepare(self) -> None:
        """Read the first message."""
        self._first = next(self._messages, None)

    def play(self) -> None:
        """Publish every message at its time."""
        if self._first is None or not self._heard():
            return
        start_ns = time.monotonic_ns() - self._first.log_ns
        self._shift_ns = int(self.get_clock().now().nanoseconds) - self._first.log_ns
        self.report('playing')
        for message in chain([self._first], self._checked()):
            data = self._serialised(message)
            if not self.wait_until(start_ns + message.log_ns):
                return
            if data is not None:
                self._outputs[message.topic].publish(data)
                self.published[message.topic] += 1

    def facts(self) -> Mapping[str, str]:
        """Return what was added to every stamp."""
        return {SHIFT: str(self._shift_ns)}

    def _heard(self) -> bool:
        """Wait a while for somebody to listen to every topic; False once playing has to stop."""
        deadline_ns = time.monotonic_ns() + LISTENERS_NS
        while time.monotonic_ns() < deadline_ns:
            if all(output.get_subscription_count() for output in self._outputs.values()):
                break
            if not self.wait_until(time.monotonic_ns() + NS // 50):
                return False
        return True

    def _checked(self) -> Iterator[BagMessage]:
        try:
            yield from self._messages
        except BagError as err:
            self.get_logger().error(str(err))

    def _serialised(self, message: BagMessage) -> bytes | None:
        try:
            kind = self._types[message.topic]
            return serialised(message.read(), kind, shift_ns=self._shift_ns)
        except Exception as err:  # no message may end the playing
            where = f"topic '{message.topic}' at {at(message.log_ns)}"
            self.get_logger().warning(f'{where} is left out: {describe(err)}')
            return None


def _message_class(kind: str) -> Any:
    package, _, name = kind.split('/')
    try:
        return getattr(import_module(f'{package}.msg'), name)
    except (ImportError, AttributeError) as err:
        raise ParameterError(f"message type '{kind}' is not installed") from err


def main(args: list[str] | None = None) -> int:
    """Run the node in its own process."""
    return run_node(BagPlayerNode, args)


if __name__ == '__main__':
    raise SystemExit(main())
