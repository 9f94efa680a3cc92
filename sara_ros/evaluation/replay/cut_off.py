"""MCAP files without an end, as a killed recorder leaves them, or without an index."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Final

from mcap.records import Channel, Message, Schema
from mcap.stream_reader import StreamReader
from rosbags.interfaces import (
    Connection,
    ConnectionExtRosbag2,
    MessageDefinition,
    MessageDefinitionFormat,
)

MAGIC: Final = b'\x89MCAP0\r\n'
_FORMATS: Final = {
    'ros2msg': MessageDefinitionFormat.MSG,
    'ros1msg': MessageDefinitionFormat.MSG,
    'ros2idl': MessageDefinitionFormat.IDL,
    'omgidl': MessageDefinitionFormat.IDL,
}


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
    """Reads what is complete, in file order; offers what a replay uses of a rosbags reader."""

    def __init__(self, path: Path) -> None:
        """Remember ``path``; ``with`` reads the list of topics, once through the file."""
        self._path = path
        self.connections: list[Connection] = []

    def __enter__(self) -> CutOffReader:
        """Count the messages of every channel."""
        channels: dict[int, Connection] = {}
        counts: Counter[int] = Counter()
        for channel, schema, _ in self._messages():
            counts[channel.id] += 1
            if channel.id not in channels:
                channels[channel.id] = self._connection(channel, schema)
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
        for channel, _, message in self._messages():
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

    def _messages(self) -> Iterator[tuple[Channel, Schema | None, Message]]:
        schemas: dict[int, Schema] = {}
        channels: dict[int, Channel] = {}
        with self._path.open('rb') as file:
            for record in _records(file):
                if isinstance(record, Schema):
                    schemas[record.id] = record
                elif isinstance(record, Channel):
                    channels[record.id] = record
                elif isinstance(record, Message) and record.channel_id in channels:
                    channel = channels[record.channel_id]
                    yield channel, schemas.get(channel.schema_id), record


def _records(file: BinaryIO) -> Iterator[Any]:
    with suppress(Exception):  # the last record is cut in two and may fail in any way
        yield from StreamReader(file).records
