"""MCAP files without an end, as a killed recorder leaves them, or without an index."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path
import struct
from types import TracebackType
from typing import Any, BinaryIO, Final

from mcap.opcode import Opcode
from mcap.records import Channel, Chunk, DataEnd, Message, Schema
from mcap.stream_reader import StreamReader, breakup_chunk
from rosbags.interfaces import (
    Connection,
    ConnectionExtRosbag2,
    MessageDefinition,
    MessageDefinitionFormat,
)

from sara_ros.evaluation.replay.messages import at

MAGIC: Final = b'\x89MCAP0\r\n'
_FORMATS: Final = {
    'ros2msg': MessageDefinitionFormat.MSG,
    'ros1msg': MessageDefinitionFormat.MSG,
    'ros2idl': MessageDefinitionFormat.IDL,
    'omgidl': MessageDefinitionFormat.IDL,
}
_HEAD: Final = struct.Struct('<BQ')
"""What a record begins with: its kind, and its length without this."""
_WITH_MESSAGES: Final = (Opcode.SCHEMA, Opcode.CHANNEL, Opcode.MESSAGE, Opcode.CHUNK)


def is_mcap(path: Path) -> bool:
    """Tell whether a file begins as an MCAP file with something in it."""
    if path.suffix != '.mcap' or not path.is_file() or path.stat().st_size <= 2 * len(MAGIC):
        return False
    with path.open('rb') as file:
        return file.read(len(MAGIC)) == MAGIC


def is_cut_off(path: Path) -> bool:
    """Tell whether an MCAP file begins as one and does not end as one."""
    if not is_mcap(path):
        return False
    with path.open('rb') as file:
        file.seek(-len(MAGIC), 2)
        return file.read() != MAGIC


class CutOffReader:
    """
    Reads what is complete, in file order; offers what a replay uses of a rosbags reader.

    ``unread`` says after which message how much is left that cannot be read. It is empty where
    only the index is missing or damaged.
    """

    def __init__(self, path: Path) -> None:
        """Remember ``path``; ``with`` reads the list of topics, once through the file."""
        self._path = path
        self.connections: list[Connection] = []
        self.unread = ''

    def __enter__(self) -> CutOffReader:
        """Count the messages of every channel."""
        channels: dict[int, Connection] = {}
        counts: Counter[int] = Counter()
        last = 'before the first message'
        with self._path.open('rb') as file:
            records = _Records(file)
            for channel, schema, message in _messages(records):
                counts[channel.id] += 1
                last = f"after topic '{channel.topic}' at {at(int(message.log_time))}"
                if channel.id not in channels:
                    channels[channel.id] = self._connection(channel, schema)
            left = records.left(size := self._path.stat().st_size)
        if left:
            self.unread = (
                f'broken {last}: {left} of {size} bytes of {self._path.name} cannot be read'
            )
        self.connections = [each._replace(msgcount=counts[key]) for key, each in channels.items()]
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Nothing stays open."""

    def messages(
        self, connections: Collection[Connection]
    ) -> Iterator[tuple[Connection, int, bytes]]:
        """Yield connection, time of recording and bytes."""
        wanted = {each.id: each for each in connections}
        with self._path.open('rb') as file:
            for channel, _, message in _messages(_Records(file)):
                if channel.id in wanted:
                    yield wanted[channel.id], int(message.log_time), message.data

    def _connection(self, channel: Channel, schema: Schema | None) -> Connection:
        form = _FORMATS.get(schema.encoding if schema else '', MessageDefinitionFormat.NONE)
        definition = schema.data.decode(errors='replace') if schema else ''
        return Connection(
            id=channel.id,
            topic=channel.topic,
            msgtype=schema.name if schema else '__schemaless__',
            msgdef=MessageDefinition(form, definition),
            digest='',
            msgcount=0,
            ext=ConnectionExtRosbag2(channel.message_encoding, []),
            owner=self,
        )


class _Records:
    """The records of a file, chunks taken apart, as far as they are whole."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._read = 0
        self._ended = False

    def __iter__(self) -> Iterator[Any]:
        with suppress(Exception):  # the last record is cut in two and may fail in any way
            for record in StreamReader(self._file, emit_chunks=True).records:
                chunk = isinstance(record, Chunk)
                yield from breakup_chunk(record, validate_crc=True) if chunk else [record]
                self._ended |= isinstance(record, DataEnd)
                self._read = self._file.tell()

    def left(self, size: int) -> int:
        """Return how many of ``size`` bytes come after the last whole record, but for an index."""
        self._file.seek(self._read)
        head = self._file.read(_HEAD.size)
        if self._ended or not head:
            return 0
        if head[0] in set(Opcode) - set(_WITH_MESSAGES):
            length = _HEAD.unpack(head)[1] if len(head) == _HEAD.size else 0
            if len(head) < _HEAD.size or size - self._read - _HEAD.size <= length <= size:
                return 0
        return size - self._read


def _messages(records: _Records) -> Iterator[tuple[Channel, Schema | None, Message]]:
    schemas: dict[int, Schema] = {}
    channels: dict[int, Channel] = {}
    for record in records:
        if isinstance(record, Schema):
            schemas[record.id] = record
        elif isinstance(record, Channel):
            channels[record.id] = record
        elif isinstance(record, Message) and record.channel_id in channels:
            channel = channels[record.channel_id]
            yield channel, schemas.get(channel.schema_id), record
