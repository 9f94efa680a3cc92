"""ROS 2 messages in an MCAP file that is complete after every flush."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from mcap.writer import CompressionType, Writer

from sara_ros.evaluation.growing_file import GrowingFile

HELD_BYTES: Final = 8_000_000
"""Most data kept in memory while the disk takes none."""


@dataclass(frozen=True, slots=True)
class Topic:
    """
    A topic of the file.

    :ivar kind: type of its messages, such as ``std_msgs/msg/Bool``.
    :ivar definition: text of the type and of those it uses, in the form of ``ros2msg``.
    :ivar latched: late readers of the topic get its last message.
    """

    name: str
    kind: str
    definition: str
    latched: bool = False


QOS: Final = """\
- history: keep_last
  depth: {depth}
  reliability: reliable
  durability: {durability}
  deadline: {{sec: 9223372036, nsec: 854775807}}
  lifespan: {{sec: 9223372036, nsec: 854775807}}
  liveliness: automatic
  liveliness_lease_duration: {{sec: 9223372036, nsec: 854775807}}
  avoid_ros_namespace_conventions: false
"""


class _Memory:
    """What the writer has written and the file does not hold yet."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.base = 0

    def write(self, data: bytes) -> int:
        self.data += data
        return len(data)

    def tell(self) -> int:
        return self.base + len(self.data)

    def flush(self) -> None:
        pass


class McapLog:
    """
    Messages of ROS 2 with their definitions, for any reader of MCAP.

    Every flush appends a chunk and a whole summary, which the next flush overwrites, so the file
    can be opened at any time and after any end of the process.
    """

    def __init__(self, path: Path) -> None:
        """
        Create the file.

        :raises OSError: when it cannot be created or is there already.
        """
        self._file = GrowingFile(path)
        self._memory = _Memory()
        # Offsets within the summary are optional, and would pile up with every flush.
        stream: Any = self._memory
        self._writer = Writer(stream, compression=CompressionType.LZ4, use_summary_offsets=False)
        self._writer.start(profile='ros2', library='sara_ros')
        self._schemas: dict[str, int] = {}
        self._channels: dict[str, int] = {}
        self._waiting = 0
        self.flushes = 0

    @property
    def full(self) -> bool:
        """Whether so much waits for the disk that nothing more is taken."""
        return len(self._memory.data) + self._waiting > HELD_BYTES

    def add(self, topic: Topic, log_ns: int, data: bytes) -> None:
        """Take a serialised message that was received at ``log_ns``, ROS time."""
        if topic.name not in self._channels:
            self._channels[topic.name] = self._register(topic)
        channel = self._channels[topic.name]
        self._writer.add_message(channel, log_time=log_ns, data=data, publish_time=log_ns)
        self._waiting += len(data)

    def flush(self) -> None:
        """
        Bring everything taken so far to the disk.

        :raises OSError: when that fails; the file is as before, and the next flush tries again.
        """
        self._writer.flush()
        self._waiting = 0
        memory = self._memory
        body = bytes(memory.data)
        self._writer.finish()
        tail = bytes(memory.data[len(body) :])
        del memory.data[len(body) :]
        self._file.commit(body, tail)
        memory.base += len(body)
        memory.data.clear()
        self.flushes += 1

    def close(self) -> None:
        """Close the file as the last flush left it."""
        self._file.close()

    def _register(self, topic: Topic) -> int:
        if topic.kind not in self._schemas:
            self._schemas[topic.kind] = self._writer.register_schema(
                topic.kind, 'ros2msg', topic.definition.encode()
            )
        durability = 'transient_local' if topic.latched else 'volatile'
        qos = QOS.format(depth=1 if topic.latched else 10, durability=durability)
        metadata = {'offered_qos_profiles': qos}
        return int(
            self._writer.register_channel(topic.name, 'cdr', self._schemas[topic.kind], metadata)
        )
