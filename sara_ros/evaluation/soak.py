"""A long session in figures: does the rate hold, do latency and memory stay where they were."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from typing import Any, Final

import numpy as np

from sara_ros.evaluation.machine import describe_machine
from sara_ros.evaluation.samples import CommandSample, command_rate_hz, percentiles_of, summarise

SCHEMA: Final = 'sara_ros.soak/1'
_EDGE: Final = 0.1
"""Share of a session at its start and at its end that memory is compared over."""
_MINUTE_SEC: Final = 60.0


@dataclass(frozen=True, slots=True)
class ProcessCost:
    """What a process took of its machine, from the first run of a session to the last."""

    cpu_percent: float
    rss_start_mib: float
    rss_end_mib: float


@dataclass(slots=True)
class SoakLog:
    """
    What a long session leaves behind.

    :param rate_hz: command rate of the model.
    :param memory_mib: resident memory by process, as pairs of seconds since the start and MiB.
    :param ended: how often runs ended for which reason.
    :param dropped: dropped observations by reason.
    :param clipped: limited action values by reason.
    :param processes: what each process took.
    :param exported: the model manager wrote CSV and MCAP meanwhile.
    """

    model_id: str
    rate_hz: float
    samples: list[CommandSample] = field(default_factory=list)
    memory_mib: dict[str, list[tuple[float, float]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    ended: Counter[str] = field(default_factory=Counter)
    dropped: Mapping[str, int] = field(default_factory=dict)
    clipped: Mapping[str, int] = field(default_factory=dict)
    deadline_misses: int = 0
    processes: Mapping[str, ProcessCost] = field(default_factory=dict)
    exported: bool = False

    def to_report(self, duration_sec: float) -> dict[str, Any]:
        """Return the content of ``report.json``."""
        latency = summarise(self.samples)
        return {
            'schema': SCHEMA,
            'machine': describe_machine(),
            'model_id': self.model_id,
            'duration_sec': round(duration_sec, 1),
            'commands': {
                'count': len(self.samples),
                'wanted_rate_hz': self.rate_hz,
                'rate_hz': command_rate_hz(self.samples),
                'jitter_ms': percentiles_of(self._jitter_ms()),
                'periods_lost': self._periods_lost(),
                'holds': latency['holds'],
                'deadline_misses': self.deadline_misses,
            },
            'sensor_to_command_ms': latency['sensor_to_command_ms'],
            'stages_ms': latency['stages_ms'],
            'dropped': dict(sorted(self.dropped.items())),
            'clipped': dict(sorted(self.clipped.items())),
            'runs': dict(sorted(self.ended.items())),
            'exported': self.exported,
            'processes': {name: asdict(cost) for name, cost in self.processes.items()},
            'memory': {name: _memory(series) for name, series in self.memory_mib.items()},
            'minutes': self._minutes(),
        }

    def _intervals_sec(self) -> list[float]:
        """Return the times between commands of the same run, the closing hold left out."""
        by_run: dict[int, list[float]] = defaultdict(list)
        for each in self.samples:
            by_run[each.episode].append(each.time_sec)
        return [
            after - before
            for times in by_run.values()
            for before, after in pairwise(sorted(times)[:-1])
        ]

    def _jitter_ms(self) -> list[float]:
        return [abs(each - 1 / self.rate_hz) * 1e3 for each in self._intervals_sec()]

    def _periods_lost(self) -> int:
        return sum(max(round(each * self.rate_hz) - 1, 0) for each in self._intervals_sec())

    def _minutes(self) -> list[dict[str, Any]]:
        """Return rate, latency and memory minute by minute."""
        by_minute: dict[int, list[CommandSample]] = defaultdict(list)
        for each in self.samples:
            by_minute[int(each.time_sec // _MINUTE_SEC)].append(each)
        return [
            {
                'minute': minute,
                'commands': len(own),
                'rate_hz': command_rate_hz(own),
                'sensor_to_command_ms': summarise(own)['sensor_to_command_ms'],
                'memory_mib': {
                    name: _mean([mib for at_sec, mib in series if at_sec // _MINUTE_SEC == minute])
                    for name, series in self.memory_mib.items()
                },
            }
            for minute, own in sorted(by_minute.items())
        ]


def _memory(series: Sequence[tuple[float, float]]) -> dict[str, float | None]:
    values = [mib for _, mib in series]
    edge = max(1, round(_EDGE * len(values)))
    # The first tenth is left out: models load, allocators and caches fill.
    first, last = _mean(values[edge : 2 * edge]), _mean(values[-edge:])
    growth = None if first is None or last is None else round(100 * (last / first - 1), 2)
    return {
        'first_mib': first,
        'last_mib': last,
        'max_mib': max(values, default=None),
        'growth_percent': growth,
    }


def _mean(values: Sequence[float]) -> float | None:
    return round(float(np.mean(values)), 2) if values else None
