"""Changes of model under commands: what was asked, what came of it, and every command."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
import csv
from dataclasses import asdict, dataclass
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any, Final

from sara_ros.core.errors import ParameterError
from sara_ros.core.timing import TOTAL
from sara_ros.evaluation.machine import describe_machine
from sara_ros.evaluation.samples import percentiles_of

SCHEMA: Final = 'sara_ros.demo-swap/1'
JITTER_SHARE: Final = 0.5
"""Allowance for one late command: a longer gap than a period and this has missed a period."""


@dataclass(frozen=True, slots=True)
class ServedCommand:
    """
    One command and which model it came from.

    :ivar stamp_sec: ROS time of publication.
    :ivar run: counts the runs; the time between two of them is nobody's.
    :ivar model: name and attention backend, as in 'rt2-tabletop, sara'.
    :ivar latency_ms: sensor to command; None for a hold.
    """

    stamp_sec: float
    run: int
    model: str
    hold: bool
    warm_up: bool
    latency_ms: float | None
    inference_ms: float | None


@dataclass(frozen=True, slots=True)
class StateChange:
    """One state of a change of model; see the SwapStatus message."""

    stamp_sec: float
    state: str
    message: str


@dataclass(frozen=True, slots=True)
class TourStep:
    """
    What an operator asked for and what became of it.

    :param request: what was called, as one would type it.
    :param expected: state that it should end with.
    :param state: state that it ended with.
    :param shadow: figures of the shadow run, where there was one.
    """

    label: str
    request: str
    expected: str
    asked_sec: float
    ended_sec: float
    state: str
    message: str
    active: str
    shadow: Mapping[str, Any] | None = None


def read_commands(path: Path) -> list[ServedCommand]:
    """
    Read the commands of an exported session.

    :param path: its ``commands.csv``.
    :raises ParameterError: when a column is missing or a value cannot be read.
    """
    backends: dict[str, str] = {}
    try:
        with path.open(encoding='utf-8', newline='') as lines:
            return [_command(row, backends) for row in csv.DictReader(lines)]
    except (OSError, KeyError, TypeError, ValueError) as err:
        raise ParameterError(f'{path.name} cannot be read: {err!r}') from err


def _command(row: Mapping[str, str], backends: dict[str, str]) -> ServedCommand:
    name = row['model_id']
    # Right after a swap a command of the model before it comes without its backend.
    backend = backends[name] = row['attention_backend'] or backends.get(name, '')
    latency, inference = row[f'{TOTAL}_ms'], row['inference_ms']
    return ServedCommand(
        stamp_sec=float(row['stamp_sec']),
        run=int(row['episode']),
        model=f'{name}, {backend}' if backend else name,
        hold=row['hold'] == '1',
        warm_up=row['warm_up'] == '1',
        latency_ms=float(latency) if latency else None,
        inference_ms=float(inference) if inference else None,
    )


def intervals_ms(commands: Iterable[ServedCommand]) -> list[tuple[ServedCommand, float]]:
    """Return each command with the time since the one before it in its run."""
    found = []
    for _, group in groupby(commands, key=lambda each: each.run):
        run = list(group)
        if run[-1].hold:  # the stop action that ends a run goes out off the beat
            run.pop()
        found += [
            (after, (after.stamp_sec - before.stamp_sec) * 1e3) for before, after in pairwise(run)
        ]
    return found


def tour_report(
    commands: Sequence[ServedCommand],
    steps: Sequence[TourStep],
    changes: Sequence[StateChange],
    *,
    rate_hz: float,
    duration_sec: float,
) -> dict[str, Any]:
    """
    Return the content of ``report.json``; times count from the first command.

    :param rate_hz: command rate of the models.
    :raises ParameterError: without a command.
    """
    if not commands:
        raise ParameterError('no command went out during the tour; see the logs of the nodes')
    start_sec = commands[0].stamp_sec
    models = list(dict.fromkeys(each.model for each in commands))
    return {
        'schema': SCHEMA,
        'machine': describe_machine(),
        'duration_sec': round(duration_sec, 1),
        'as_expected': all(each.state == each.expected for each in steps),
        'commands': _commands(commands, rate_hz),
        'models': [_model(name, commands) for name in models],
        'steps': [
            {
                'number': number,
                **asdict(each),
                'asked_sec': round(each.asked_sec - start_sec, 3),
                'ended_sec': round(each.ended_sec - start_sec, 3),
                **_meanwhile(each, commands),
            }
            for number, each in enumerate(steps, 1)
        ],
        'states': [
            {**asdict(each), 'stamp_sec': round(each.stamp_sec - start_sec, 3)} for each in changes
        ],
        'series': _series(commands, models, start_sec),
    }


def _commands(commands: Sequence[ServedCommand], rate_hz: float) -> dict[str, Any]:
    gaps_ms = [gap for _, gap in intervals_ms(commands)]
    period_ms = 1e3 / rate_hz
    late_ms = (1 + JITTER_SHARE) * period_ms
    return {
        'count': len(commands),
        'runs': len({each.run for each in commands}),
        'holds': sum(each.hold for each in commands),
        'period_ms': period_ms,
        'interval_ms': percentiles_of(gaps_ms),
        'jitter_allowance_ms': late_ms - period_ms,
        'periods_missed': sum(gap > late_ms for gap in gaps_ms),
        'sensor_to_command_ms': percentiles_of(
            each.latency_ms for each in commands if not each.warm_up
        ),
    }


def _model(name: str, commands: Sequence[ServedCommand]) -> dict[str, Any]:
    own = [each for each in commands if each.model == name and not (each.hold or each.warm_up)]
    return {
        'model': name,
        'commands': len(own),
        'sensor_to_command_ms': percentiles_of(each.latency_ms for each in own),
        'inference_ms': percentiles_of(each.inference_ms for each in own),
    }


def _meanwhile(step: TourStep, commands: Sequence[ServedCommand]) -> dict[str, Any]:
    """Return how the commands went from the request to the end of a step."""
    own = [
        (each, gap)
        for each, gap in intervals_ms(commands)
        if step.asked_sec <= each.stamp_sec <= step.ended_sec
    ]
    return {
        'commands': len(own),
        'holds': sum(each.hold for each, _ in own),
        'longest_interval_ms': round(max((gap for _, gap in own), default=0.0), 1),
    }


def _series(
    commands: Sequence[ServedCommand], models: Sequence[str], start_sec: float
) -> dict[str, str]:
    """Return every command, each column as one line of text, which keeps the file short."""
    columns = {
        'time_sec': (f'{each.stamp_sec - start_sec:.3f}' for each in commands),
        'run': (str(each.run) for each in commands),
        'model': (str(models.index(each.model)) for each in commands),
        'hold': (str(int(each.hold)) for each in commands),
        'warm_up': (str(int(each.warm_up)) for each in commands),
        'latency_ms': (
            '-' if each.latency_ms is None else f'{each.latency_ms:.1f}' for each in commands
        ),
    }
    return {name: ' '.join(values) for name, values in columns.items()}


def commands_of(report: Mapping[str, Any]) -> list[ServedCommand]:
    """Return the commands that a report tells of, their stamps counted from the first."""
    models = [each['model'] for each in report['models']]
    columns = [report['series'][name].split() for name in (
        'time_sec', 'run', 'model', 'hold', 'warm_up', 'latency_ms',
    )]  # fmt: skip
    return [
        ServedCommand(
            stamp_sec=float(time_sec),
            run=int(run),
            model=models[int(model)],
            hold=hold == '1',
            warm_up=warm_up == '1',
            latency_ms=None if latency_ms == '-' else float(latency_ms),
            inference_ms=None,
        )
        for time_sec, run, model, hold, warm_up, latency_ms in zip(*columns, strict=True)
    ]
