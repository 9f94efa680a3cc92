"""rosbag2 and ROS 1 bags as a source of messages, without a ROS installation."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import ExitStack
from heapq import merge
import os
from pathlib import Path
from typing import Any

from rosbags.interfaces import Connection
from rosbags.rosbag1 import Reader as Ros1Reader
from rosbags.rosbag2 import Reader as Ros2Reader

from sara_ros.core.errors import describe
from sara_ros.evaluation.replay.bag_files import MENDING, METADATA, files_of, storage_files
from sara_ros.evaluation.replay.cut_off import CutOffReader, is_cut_off, is_mcap
from sara_ros.evaluation.replay.message_types import (
    Reader,
    UnknownTypeError,
    reader_of,
    ros2_name,
)
from sara_ros.evaluation.replay.messages import BagError, BagMessage, Topic, at, name_of


class Bag:
    """
    One bag: a rosbag2 folder, a single ``.mcap`` or ``.db3`` file, or a ROS 1 ``.bag``.

    Files of a folder are merged by the time of recording. An MCAP file whose recorder was killed,
    or whose index is damaged, is read from its beginning as far as it goes. Messages are
    streamed, so memory does not grow with the bag.
    """

    instruction = ''
    action_kind = ''

    def __init__(self, path: Path) -> None:
        """
        Read the list of topics.

        :raises BagError: when the bag cannot be opened.
        """
        self.name = name_of(path)
        self.notes: list[str] = []
        self._path = path
        self._files, notes = files_of(path)
        self.notes += notes
        self.kind = 'ROS 1 bag' if self._files[0].suffix == '.bag' else 'rosbag2'
        self._readers: dict[tuple[str, str], Reader] = {}
        self._unread: dict[Path, str] = {}
        try:
            self.topics = self._read_topics()
        except BagError as err:
            if self._files != [path] or not path.is_dir():
                raise
            self.notes.append(f'{METADATA} is not used: {err}')
            self._files = storage_files(path)
            self.topics = self._read_topics()

    @property
    def unread(self) -> str:
        """Where its files break off; see :class:`Source`."""
        return '; '.join(f'{self.name}: {text}' for text in self._unread.values() if text)

    def messages(self, topics: Collection[str]) -> Iterator[BagMessage]:
        """Yield the messages of ``topics``; see :class:`Source`."""
        last, done = 'before the first message', 0
        total = sum(each.count for each in self.topics if each.name in topics)
        with ExitStack() as stack:
            streams = [self._stream(each, topics) for each in self._open(stack)]
            merged = merge(*streams, key=lambda item: item[1])
            while True:
                try:
                    item = next(merged, None)
                except Exception as err:  # a broken file may raise anything
                    raise BagError(
                        f'{self.name}: broken {last}, {total - done} of {total} messages unread: '
                        f'{describe(err)}'
                    ) from err
                if item is None:
                    return
                connection, log_ns, data = item
                last, done = f"after topic '{connection.topic}' at {at(log_ns)}", done + 1
                yield self._message(connection, log_ns, data)

    def _read_topics(self) -> tuple[Topic, ...]:
        with ExitStack() as stack:
            connections = [each for one in self._open(stack) for each in one.connections]
            try:
                return self._topics(connections)
            except (TypeError, ValueError, AttributeError) as err:
                raise BagError(f'{self.name}: its topics make no sense: {describe(err)}') from err

    def _message(self, connection: Connection, log_ns: int, data: bytes) -> BagMessage:
        read = self._readers[connection.topic, ros2_name(connection.msgtype)]
        return BagMessage(connection.topic, log_ns, lambda: read(data))

    def _stream(self, reader: Any, topics: Collection[str]) -> Iterator[tuple[Any, int, Any]]:
        wanted = [
            each for each in reader.connections
            if each.topic in topics and (each.topic, ros2_name(each.msgtype)) in self._readers
        ]  # fmt: skip
        # No connections at all would mean every message.
        return reader.messages(connections=wanted) if wanted else iter(())

    def _open(self, stack: ExitStack) -> list[Any]:
        return [self._reader(stack, path) for path in self._files]

    def _reader(self, stack: ExitStack, path: Path) -> Any:
        if path.suffix == '.db3' and set('#?%') & set(str(path)):
            raise BagError(
                f"{path}: SQLite takes '#', '?' and '%' in a path for something else; rename it"
            )
        if not os.access(path, os.R_OK):
            raise BagError(f'{self._named(path)} may not be read; see its owner and permissions')
        try:
            if is_cut_off(path):
                self._note(
                    f'{path.name} has no end: its recorder was killed or a copy not finished'
                )
                return self._cut_off(stack, path)
            ros1 = path.suffix == '.bag'
            return stack.enter_context(Ros1Reader(path) if ros1 else Ros2Reader(path))
        except Exception as err:  # a broken file may raise anything
            if is_mcap(path):
                self._note(f'{path.name} is read without its index: {describe(err)}')
                return self._cut_off(stack, path)
            mending = MENDING.get(path.suffix, '')
            raise BagError(
                f'{self._named(path)} cannot be opened: {describe(err)}{mending}'
            ) from err

    def _cut_off(self, stack: ExitStack, path: Path) -> CutOffReader:
        reader = stack.enter_context(CutOffReader(path))
        self._unread[path] = reader.unread
        return reader

    def _named(self, path: Path) -> str:
        return self.name if path.name == self.name else f'{self.name}: {path.name}'

    def _note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)

    def _topics(self, connections: list[Connection]) -> tuple[Topic, ...]:
        found: dict[str, Topic] = {}
        for each in connections:
            name, kind = each.topic, ros2_name(each.msgtype)
            problem = self._add_reader(each)
            count = each.msgcount + (found[name].count if name in found else 0)
            if name in found and found[name].type != kind:
                problem = f"holds both '{found[name].type}' and '{kind}'"
            found[name] = Topic(name, kind, count, problem)
        return tuple(sorted(found.values(), key=lambda topic: topic.name))

    def _add_reader(self, connection: Connection) -> str:
        key = connection.topic, ros2_name(connection.msgtype)
        if key not in self._readers:
            try:
                self._readers[key] = reader_of(connection)
            except UnknownTypeError as err:
                return str(err)
        return ''
