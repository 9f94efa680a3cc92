"""The bag player node: the messages of a bag on their topics, in real time, stamped now."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from itertools import chain
from pathlib import Path
import time
from typing import Any, Final

from rclpy.clock import Clock, ClockType
from rosgraph_msgs.msg import Clock as ClockMessage
from std_msgs.msg import String

from sara_ros.core import ParameterError
from sara_ros.core.errors import describe
from sara_ros.core.listing import listed
from sara_ros.decoding.observations import MESSAGE_TYPES
from sara_ros.evaluation.replay.messages import BagError, BagMessage, Source, at
from sara_ros.evaluation.replay.places import Place
from sara_ros.evaluation.replay.recorded_commands import commands_in
from sara_ros.evaluation.replay.ros2_messages import serialised
from sara_ros.nodes import qos
from sara_ros.nodes.parameters import ParameterSpec, declare, value
from sara_ros.nodes.playback import PlaybackNode
from sara_ros.nodes.process import run_node
from sara_ros.nodes.ros_time import NS, to_time
from sara_ros.nodes.start import end

PARAMETERS: Final = (
    ParameterSpec('bag', '', 'Bag or LeRobot folder to play.', read_only=True),
    ParameterSpec('episode', -1, 'Episode of a LeRobot folder; -1 for a bag.', low=-1,
                  high=2**31 - 1, read_only=True),
    ParameterSpec('autoplay', False, 'Play once somebody listens, without being asked.',
                  read_only=True),
    ParameterSpec('topics', [''], 'Topics to play; empty: those of types that policies observe, '
                  'without those that hold recorded actions or are called after commands.',
                  read_only=True),
    ParameterSpec('instruction', '', 'Published on policy/instruction when playing begins; '
                  'empty: nothing.', read_only=True),
)  # fmt: skip
OBSERVED: Final = frozenset(kind for kinds in MESSAGE_TYPES.values() for kind in kinds)
LISTENERS_NS: Final = 5 * NS
"""Longest wait for subscribers: discovery takes seconds."""
OTHERS_NS: Final = NS
"""Longest wait for those of the other topics, once one has been discovered."""
CLOCK_PERIOD_SEC: Final = 0.01
SHIFT: Final = 'shift_ns'
"""Key of the progress: what was added to every stamp."""


class BagPlayerNode(PlaybackNode):
    """
    Plays a bag at the pace of its recording.

    Every stamp is moved by the same duration, so that ages are as they were on the robot. Topics
    are below the namespace of the node. With ``use_sim_time`` it also publishes ``/clock``, which
    is the time of this machine.
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
        wanted = self._wanted(source)
        self._outputs = {
            topic: self.create_publisher(
                _message_class(self._types[topic]), topic.lstrip('/'), qos.SENSOR
            )
            for topic in wanted
        }
        self._instruction = value(self, 'instruction')
        self._instruct = self.create_publisher(String, 'policy/instruction', qos.COMMAND)
        if value(self, 'use_sim_time'):
            self._clock_output = self.create_publisher(ClockMessage, '/clock', qos.SENSOR)
            steady = Clock(clock_type=ClockType.STEADY_TIME)
            self._clock_timer = self.create_timer(CLOCK_PERIOD_SEC, self._tell_time, clock=steady)
        self._messages = self._checked(source.messages(wanted))
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
        if self._instruction:
            self._instruct.publish(String(data=self._instruction))
        start_ns = time.monotonic_ns() - self._first.log_ns
        # On a simulated clock this node would only hear its own time, a little late.
        self._shift_ns = time.time_ns() - self._first.log_ns
        self.report('playing')
        for message in chain([self._first], self._messages):
            data = self._serialised(message)
            if not self.wait_until(start_ns + message.log_ns):
                return
            if data is not None:
                self._outputs[message.topic].publish(data)
                self.published[message.topic] += 1

    def facts(self) -> Mapping[str, str]:
        """Return what was added to every stamp."""
        return {SHIFT: str(self._shift_ns)}

    def _wanted(self, source: Source) -> list[str]:
        chosen = [topic for topic in value(self, 'topics') if topic]
        missing = [topic for topic in chosen if topic not in self._types]
        if missing:
            raise ParameterError(
                f"parameter 'topics': {source.name} has no '{missing[0]}' to play"
            )
        wanted = chosen or self._sensors(source)
        if not wanted:
            raise ParameterError(
                f'{source.name} has no topic that policies observe; name those to play in '
                f"parameter 'topics', of {', '.join(self._types) or 'none'}"
            )
        return wanted

    def _sensors(self, source: Source) -> list[str]:
        """Return what no robot obeys, and log what else there is."""
        commands = [topic for topic in commands_in(source) if topic in self._types]
        rest = {topic: kind for topic, kind in self._types.items() if topic not in commands}
        played = [topic for topic, kind in rest.items() if kind in OBSERVED]
        unseen = [topic for topic in rest if topic not in played]
        kinds = {'played': played, 'left out as commands': commands, 'not observed': unseen}
        told = [f'{kind}: {listed(topics, 20)}' for kind, topics in kinds.items() if topics]
        self.get_logger().info(
            f"{source.name}: {'; '.join(told)}; parameter 'topics' names those to play instead"
        )
        return played

    def _heard(self) -> bool:
        """
        Wait a while for somebody to listen to every topic; False once playing has to stop.

        With ``autoplay`` this waits for the first listener, however late that one is.
        """
        deadline_ns = 0 if value(self, 'autoplay') else time.monotonic_ns() + LISTENERS_NS
        while not deadline_ns or time.monotonic_ns() < deadline_ns:
            heard = [output.get_subscription_count() > 0 for output in self._outputs.values()]
            told = not self._instruction or self._instruct.get_subscription_count() > 0
            if all(heard) and told:
                return True
            if any(heard) and not deadline_ns:
                deadline_ns = time.monotonic_ns() + OTHERS_NS
            if not self.wait_until(time.monotonic_ns() + NS // 50):
                return False
        return True

    def _tell_time(self) -> None:
        self._clock_output.publish(ClockMessage(clock=to_time(time.time_ns())))

    def _checked(self, messages: Iterator[BagMessage]) -> Iterator[BagMessage]:
        try:
            yield from messages
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
    end(main())
