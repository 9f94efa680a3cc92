"""Reads an exported session back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
import json
from pathlib import Path
from typing import Any, Final

from rosbags.highlevel import AnyReader, AnyReaderError

from sara_ros.core.errors import ParameterError, describe
from sara_ros.core.health import Level
from sara_ros.core.timing import TOTAL
from sara_ros.evaluation.exporter import CSV_FILE, FACTS_FILE, MCAP_FILES
from sara_ros.evaluation.samples import CommandSample, read_csv

NS: Final = 1e9
MIB: Final = 2**20


@dataclass(frozen=True, slots=True)
class Moment:
    """
    What one summary says.

    :ivar time_sec: since the first message of the session.
    :ivar latency_ms: p50, p95, p99 and maximum of sensor-to-command; None without commands.
    """

    time_sec: float
    command_rate_hz: float
    latency_ms: tuple[float, float, float, float] | None
    observation_age_p95_ms: float | None
    cpu_percent: float
    memory_mib: float
    gpu_memory_mib: float
    counts: Mapping[str, int]
    drops: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Event:
    """Something that changed: a swap, a run, a lifecycle state, an error, a level."""

    time_sec: float
    what: str
    text: str
    level: Level = Level.OK


@dataclass(frozen=True, slots=True)
class TelemetrySession:
    """
    An exported session; what was not exported is empty.

    :ivar facts: content of ``session.json``.
    """

    name: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    samples: Sequence[CommandSample] = ()
    moments: Sequence[Moment] = ()
    events: Sequence[Event] = ()
    messages: Mapping[str, int] = field(default_factory=dict)


def read_session(path: Path) -> TelemetrySession:
    """
    Read the folder of a session, or one of its files by itself.

    :raises ParameterError: when there is nothing to read, or a file cannot be read.
    """
    folder = path if path.is_dir() else path.parent
    tables = sorted(path.glob(CSV_FILE)) if path.is_dir() else [path] * (path.suffix == '.csv')
    bags = sorted(path.glob(MCAP_FILES)) if path.is_dir() else [path] * (path.suffix == '.mcap')
    if not (tables or bags) or not path.exists():
        raise ParameterError(
            f'{path} holds no {CSV_FILE} and no {MCAP_FILES}; name the folder of an exported '
            "session, made with the model manager's parameter export_dir"
        )
    samples = [sample for each in tables for sample in read_csv(each)]
    reading = _Reading()
    if bags:
        reading.read(bags)
    return TelemetrySession(
        name=(path if path.is_dir() else folder).resolve().name,
        facts=_facts(folder / FACTS_FILE),
        samples=samples,
        moments=reading.moments,
        events=reading.events,
        messages=dict(sorted(reading.messages.items())),
    )


def _facts(path: Path) -> dict[str, Any]:
    try:
        facts = json.loads(path.read_text(encoding='utf-8'))
    except (OSError, ValueError):
        return {}
    return facts if isinstance(facts, dict) else {}


class _Reading:
    """Goes through the messages once."""

    def __init__(self) -> None:
        self.moments: list[Moment] = []
        self.events: list[Event] = []
        self.messages: dict[str, int] = {}
        self._before: dict[str, tuple[str, Level]] = {}

    def read(self, paths: Sequence[Path]) -> None:
        handlers = {
            'sara_ros_msgs/msg/TimingSummary': self._on_summary,
            'sara_ros_msgs/msg/PolicyStatus': self._on_status,
            'sara_ros_msgs/msg/SwapStatus': self._on_swap,
            'diagnostic_msgs/msg/DiagnosticArray': self._on_diagnostics,
        }
        try:
            with AnyReader(paths) as reader:
                for connection, log_ns, data in reader.messages():
                    topic = connection.topic
                    self.messages[topic] = self.messages.get(topic, 0) + 1
                    handler = handlers.get(connection.msgtype)
                    if handler is not None:
                        message = reader.deserialize(data, connection.msgtype)
                        handler((log_ns - reader.start_time) / NS, message)
        except (AnyReaderError, OSError) as err:
            names = ', '.join(path.name for path in paths)
            raise ParameterError(f'{names} cannot be read: {describe(err)}') from err

    def _on_summary(self, time_sec: float, message: Any) -> None:
        total = next((each for each in message.stages if each.stage == TOTAL), None)
        age = message.observation_age
        self.moments.append(Moment(
            time_sec=time_sec,
            command_rate_hz=message.command_rate_hz,
            latency_ms=total and (total.p50_ms, total.p95_ms, total.p99_ms, total.max_ms),
            observation_age_p95_ms=age.p95_ms if age.count else None,
            cpu_percent=message.cpu_percent,
            memory_mib=message.memory_bytes / MIB,
            gpu_memory_mib=message.gpu_memory_bytes / MIB,
            counts={
                'commands': int(message.commands_published),
                'holds': int(message.holds),
                'deadline misses': int(message.deadline_misses),
                'observations': int(message.observations_received),
            },
            drops={
                name: int(count)
                for name, count in zip(message.drop_reasons, message.drop_counts, strict=True)
            },
        ))  # fmt: skip

    def _on_status(self, time_sec: float, message: Any) -> None:
        self._changed(time_sec, 'policy', f'{message.state}, {message.model_id or "no model"}')
        self._changed(time_sec, 'run', message.instruction or 'none')
        self._changed(time_sec, 'run ended', message.last_termination_reason)
        level = Level.ERROR if message.last_error else Level.OK
        self._changed(time_sec, 'error', message.last_error, level)

    def _on_swap(self, time_sec: float, message: Any) -> None:
        parts = (message.state, message.candidate.model_id, message.message)
        bad = message.state in ('refused', 'rolled_back')
        text = ': '.join(filter(None, parts))
        self._changed(time_sec, 'swap', text, Level.WARN if bad else Level.OK)

    def _on_diagnostics(self, time_sec: float, message: Any) -> None:
        for status in message.status:
            level = Level(status.level)
            name = f'diagnostics {status.name}'
            before = self._before.get(name, ('', Level.OK))[1]
            if level != before:
                self._before[name] = (status.message, level)
                self.events.append(Event(time_sec, name, status.message, level))

    def _changed(self, time_sec: float, what: str, text: str, level: Level = Level.OK) -> None:
        before = self._before.get(what, ('', Level.OK))[0]
        self._before[what] = (text, level)
        if text and text != before:
            self.events.append(Event(time_sec, what, text, level))
