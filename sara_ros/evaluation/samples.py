"""Published commands, their timing, and the CSV file that holds them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
import csv
from dataclasses import asdict, dataclass
import io
import math
from pathlib import Path
from typing import Any, Final

from sara_ros.core.errors import ParameterError
from sara_ros.core.statistics import Percentiles
from sara_ros.core.timing import STAGES, TOTAL
from sara_ros.evaluation.files import write_text

SHORTEST_EPISODE: Final = 5
"""Commands of an episode from which on it has a command rate."""

_HEAD: Final = ('episode', 'model_id', 'time_sec', 'sequence', 'warm_up', 'hold')
_TOTAL_MS: Final = f'{TOTAL}_ms'


@dataclass(frozen=True, slots=True)
class CommandSample:
    """
    One published command.

    :ivar time_sec: time of publication since the session started.
    :ivar stages_ms: duration of each stage the observation passed.
    :ivar total_ms: sensor-to-command latency; None for a hold that rests on no observation.
    :ivar hold: the command held the arm still because no fresh action was there.
    """

    episode: int
    model_id: str
    time_sec: float
    sequence: int
    warm_up: bool
    stages_ms: Mapping[str, float]
    total_ms: float | None
    hold: bool

    @property
    def counted(self) -> bool:
        """Whether latency statistics include this command: neither warm-up nor hold."""
        return not (self.warm_up or self.hold or self.total_ms is None)

    @property
    def minus_inference_ms(self) -> float | None:
        """Latency that is not the model's own; None without an inference stage."""
        if self.total_ms is None or 'inference' not in self.stages_ms:
            return None
        return self.total_ms - self.stages_ms['inference']


def percentiles_of(values: Iterable[float | None]) -> dict[str, Any]:
    """Return p50, p95, p99, max and count of the values present; null where there are none."""
    present = [value for value in values if value is not None and math.isfinite(value)]
    if not present:
        return {'p50': None, 'p95': None, 'p99': None, 'max': None, 'count': 0}
    summary = asdict(Percentiles.of(present))
    count = summary.pop('count')
    return {**{name: round(value, 4) for name, value in summary.items()}, 'count': count}


def command_rate_hz(samples: Iterable[CommandSample]) -> float | None:
    """
    Return commands per second within episodes; pauses between episodes do not count.

    Nor do episodes too short to have a rate: the hold that ends each is sent off the beat.
    """
    times: dict[int, list[float]] = defaultdict(list)
    for sample in samples:
        times[sample.episode].append(sample.time_sec)
    lasting = [series for series in times.values() if len(series) >= SHORTEST_EPISODE]
    periods = sum(len(series) - 1 for series in lasting)
    spans_sec = sum(max(series) - min(series) for series in lasting)
    return round(periods / spans_sec, 3) if spans_sec > 0 else None


def summarise(samples: Sequence[CommandSample]) -> dict[str, Any]:
    """
    Return latency percentiles in milliseconds, over all commands and per model.

    Warm-up commands and holds are left out of every percentile and counted under
    ``warm_up_excluded`` and ``holds``; a hold during warm-up counts as warm-up.
    """
    by_model: dict[str, list[CommandSample]] = defaultdict(list)
    for sample in samples:
        by_model[sample.model_id].append(sample)
    return {
        **_latency(samples),
        'by_policy': {model: _latency(own) for model, own in sorted(by_model.items())},
    }


def _latency(samples: Sequence[CommandSample]) -> dict[str, Any]:
    counted = [sample for sample in samples if sample.counted]
    return {
        'commands': len(samples),
        'warm_up_excluded': sum(sample.warm_up for sample in samples),
        'holds': sum(sample.hold and not sample.warm_up for sample in samples),
        'sensor_to_command_ms': percentiles_of(sample.total_ms for sample in counted),
        'sensor_to_command_minus_inference_ms': percentiles_of(
            sample.minus_inference_ms for sample in counted
        ),
        'stages_ms': {
            stage: percentiles_of(sample.stages_ms.get(stage) for sample in counted)
            for stage in STAGES
        },
    }


def write_csv(path: Path, samples: Iterable[CommandSample]) -> None:
    """Write one line per command; a stage or total that is absent is an empty field."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator='\n')
    rows.writerow([*_HEAD, *(f'{stage}_ms' for stage in STAGES), _TOTAL_MS])
    for sample in samples:
        head = [sample.episode, sample.model_id, sample.time_sec, sample.sequence]
        flags = [int(sample.warm_up), int(sample.hold)]
        stages = [sample.stages_ms.get(stage) for stage in STAGES]
        rows.writerow([*head, *flags, *stages, sample.total_ms])
    write_text(path, text.getvalue())


def read_csv(path: Path) -> list[CommandSample]:
    """
    Read what :func:`write_csv` wrote.

    :raises ParameterError: when a column is missing or a value cannot be read.
    """
    with path.open(encoding='utf-8', newline='') as lines:
        rows = csv.DictReader(lines)
        missing = {*_HEAD, _TOTAL_MS} - set(rows.fieldnames or ())
        if missing:
            raise ParameterError(f'{path.name}: missing columns: {", ".join(sorted(missing))}')
        return [_sample(row, f'{path.name}:{rows.line_num}') for row in rows]


def _sample(row: Mapping[str, str], place: str) -> CommandSample:
    try:
        stages = {stage: row.get(f'{stage}_ms') for stage in STAGES}
        return CommandSample(
            episode=int(row['episode']),
            model_id=row['model_id'],
            time_sec=float(row['time_sec']),
            sequence=int(row['sequence']),
            warm_up=bool(int(row['warm_up'])),
            hold=bool(int(row['hold'])),
            stages_ms={stage: float(text) for stage, text in stages.items() if text},
            total_ms=float(row[_TOTAL_MS]) if row[_TOTAL_MS] else None,
        )
    except (TypeError, ValueError) as err:
        raise ParameterError(f'{place}: {err}') from err
