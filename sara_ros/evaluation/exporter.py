"""Writes telemetry to disk on a thread of its own, and never stops whoever hands it over."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Event, Thread
from typing import Any, Final, Protocol

from sara_ros.core.errors import ParameterError, describe
from sara_ros.core.timing_windows import CommandTiming
from sara_ros.evaluation.command_log import CommandLog
from sara_ros.evaluation.files import write_json
from sara_ros.evaluation.mcap_log import McapLog, Topic

FORMATS: Final = ('csv', 'mcap')
CSV_FILE: Final = 'commands.csv'
MCAP_FILES: Final = 'telemetry_*.mcap'
FACTS_FILE: Final = 'session.json'
SCHEMA: Final = 'sara_ros.telemetry/1'
MOST_WAITING: Final = 20_000
"""Most commands, and most messages, that wait for the disk; more are lost and counted."""
MOST_FLUSHES: Final = 1_800
"""Flushes of one MCAP file; its summary is written anew each time and must not grow for ever."""
CLOSE_TIMEOUT_SEC: Final = 5.0


@dataclass(frozen=True, slots=True)
class ExportCounts:
    """
    What became of what was handed over.

    :ivar written: commands or messages that are on the disk.
    :ivar held: those that wait for it.
    :ivar lost: those that were discarded because the disk took none for too long.
    :ivar failures: flushes that failed.
    :ivar error: the latest failure; empty once the disk takes data again.
    """

    written: int = 0
    held: int = 0
    lost: int = 0
    failures: int = 0
    error: str = ''


class Log(Protocol):
    """A file that takes items and writes them when flushed."""

    flushes: int

    @property
    def full(self) -> bool:
        """Whether it takes no more until a flush succeeds."""
        ...

    def add(self, *item: Any) -> None:
        """Take an item."""
        ...

    def flush(self) -> None:
        """Write what was taken; raises OSError and keeps it when that fails."""
        ...

    def close(self) -> None:
        """Close the file."""
        ...


class Output:
    """Items on their way into files that ``open_next`` creates one after the other."""

    def __init__(self, open_next: Callable[[int], Log]) -> None:
        """Create no file before the first item is flushed."""
        self._open_next = open_next
        self._items: deque[tuple[Any, ...]] = deque()
        self._log: Log | None = None
        self._files = 0
        self._taken = 0
        self._written = 0
        self._lost = 0
        self._failures = 0
        self._error = ''

    def put(self, *item: Any) -> None:
        """Queue an item; called from any thread."""
        if len(self._items) < MOST_WAITING:
            self._items.append(item)
        else:
            self._lost += 1

    def flush(self) -> None:
        """Write what is queued; a failure is counted, and what was not written stays."""
        if not self._items and self._taken == self._written:
            return
        try:
            log = self._opened()
            self._drain_into(log)
            log.flush()
            self._written, self._error = self._taken, ''
            if log.flushes >= MOST_FLUSHES:
                self.close()
        except Exception as err:  # whatever it is, the thread must outlive it
            self._failures += 1
            self._error = describe(err)

    def close(self) -> None:
        """Close the file; the next item opens another one."""
        if self._log is not None:
            self._log.close()
            self._log = None

    @property
    def counts(self) -> ExportCounts:
        """What became of the items so far."""
        held = len(self._items) + self._taken - self._written
        return ExportCounts(self._written, held, self._lost, self._failures, self._error)

    def _opened(self) -> Log:
        if self._log is None:
            self._log = self._open_next(self._files)
            self._files += 1
        return self._log

    def _drain_into(self, log: Log) -> None:
        while self._items and not log.full:
            try:
                log.add(*self._items.popleft())
            except Exception:
                self._lost += 1
                raise
            self._taken += 1


class Exporter:
    """
    One folder per session: ``commands.csv``, ``telemetry_<n>.mcap`` and ``session.json``.

    The folder is created with the first command or message. A disk that takes no data costs
    nothing while what waits fits in memory; it is written once there is space again.

    :param folder: folder of the session.
    :param formats: of ``csv`` and ``mcap``.
    :param facts: what ``session.json`` tells of the session.
    :param flush_sec: time between flushes; what was handed over since the last one is lost when
        the process is killed.
    :raises ParameterError: for an unknown format.
    """

    def __init__(
        self,
        folder: Path,
        formats: Sequence[str],
        facts: Mapping[str, Any],
        *,
        flush_sec: float = 1.0,
    ) -> None:
        """Start the thread."""
        unknown = sorted(set(formats) - set(FORMATS))
        if unknown:
            known = ' and '.join(FORMATS)
            raise ParameterError(f"export format '{unknown[0]}' is not known; use {known}")
        self.folder = folder
        self._facts = dict(facts)
        self._flush_sec = flush_sec
        makers: dict[str, Callable[[int], Log]] = {
            'csv': self._open_csv,
            'mcap': self._open_mcap,
        }
        self._outputs = {name: Output(makers[name]) for name in formats}
        self._stopping = Event()
        self._thread = Thread(target=self._work, name='exporter', daemon=True)
        self._thread.start()

    def command(self, command: CommandTiming) -> None:
        """Hand a command over."""
        if 'csv' in self._outputs:
            self._outputs['csv'].put(command)

    def message(self, topic: Topic, log_ns: int, data: bytes) -> None:
        """Hand over a serialised message, received at ``log_ns``, ROS time."""
        if 'mcap' in self._outputs:
            self._outputs['mcap'].put(topic, log_ns, data)

    @property
    def counts(self) -> dict[str, ExportCounts]:
        """What became of what was handed over, by format."""
        return {name: output.counts for name, output in self._outputs.items()}

    def close(self) -> None:
        """Write what is left and close the files; a disk that hangs is not waited for."""
        self._stopping.set()
        self._thread.join(timeout=CLOSE_TIMEOUT_SEC)

    def _work(self) -> None:
        while not self._stopping.wait(self._flush_sec):
            self._flush()
        self._flush()
        for output in self._outputs.values():
            output.close()
        if self.folder.is_dir():
            self._describe()

    def _flush(self) -> None:
        for output in self._outputs.values():
            output.flush()

    def _open_csv(self, index: int) -> CommandLog:
        self._describe()
        return CommandLog(self.folder / CSV_FILE)

    def _open_mcap(self, index: int) -> McapLog:
        self._describe()
        return McapLog(self.folder / MCAP_FILES.replace('*', str(index)))

    def _describe(self) -> None:
        counts = {name: asdict(each) for name, each in self.counts.items()}
        facts = {'schema': SCHEMA, **self._facts, 'export': counts}
        try:
            write_json(self.folder / FACTS_FILE, facts)
        except OSError:
            return  # the files that hold the data say the same of the disk
