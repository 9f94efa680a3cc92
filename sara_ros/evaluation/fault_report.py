"""What was broken on purpose, what should have happened, and what did."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sara_ros.evaluation.files import write_json, write_text
from sara_ros.evaluation.machine import describe_machine

SCHEMA: Final = 'sara_ros.faults/1'
REPORT_FILE: Final = 'report.json'
TABLE_FILE: Final = 'report.md'
STILL_M: Final = 0.003
"""An end effector that stays within this distance of its last place stands still."""
_GRACE_MS: Final = 100.0


@dataclass(frozen=True, slots=True)
class FaultRecord:
    """
    One fault and what became of it.

    :param expected: what should happen.
    :param seen: what happened, as the operator sees it.
    :param time_to_stop_ms: from the cause, or from the limit of the watchdog that found it, to
        the stop; ``None`` where the robot is to go on.
    :param commands_lost: command periods without a command; ``None`` where nobody commands.
    """

    fault: str
    expected: str
    seen: str
    passed: bool
    time_to_stop_ms: float | None = None
    commands_lost: int | None = None


def stop_limit_ms(period_ms: float) -> float:
    """Return the longest time to stop: one command period and 100 ms."""
    return period_ms + _GRACE_MS


def still_since_ns(times_ns: Sequence[int], positions_m: NDArray[Any]) -> int:
    """
    Return from when on a path stays within ``STILL_M`` of its end.

    :param positions_m: shape ``(N, 3)``, at ``times_ns``.
    """
    away = np.linalg.norm(positions_m - positions_m[-1], axis=1) > STILL_M
    moving = np.flatnonzero(away)
    return int(times_ns[int(moving[-1]) + 1 if moving.size else 0])


def periods_lost(stamps_ns: Sequence[int], period_ns: int) -> int:
    """Return how many command periods passed without a command between the first and the last."""
    gaps = np.diff(np.asarray(stamps_ns, np.int64))
    return int(np.maximum(np.rint(gaps / period_ns) - 1, 0).sum())


def write_report(folder: Path, records: Sequence[FaultRecord]) -> Path:
    """Write ``report.json`` and a table for people into ``folder``; return the first."""
    write_text(folder / TABLE_FILE, table(records))
    path = folder / REPORT_FILE
    write_json(path, {
        'schema': SCHEMA,
        'machine': describe_machine(),
        'passed': all(each.passed for each in records),
        'faults': [asdict(each) for each in records],
    })  # fmt: skip
    return path


def table(records: Iterable[FaultRecord]) -> str:
    """Return the records as a Markdown table."""
    lines = [
        '| Fault | Expected | Seen | Time to stop (ms) | Commands lost | |',
        '|---|---|---|---|---|---|',
    ]
    for each in records:
        stop = '' if each.time_to_stop_ms is None else f'{each.time_to_stop_ms:.0f}'
        lost = '' if each.commands_lost is None else str(each.commands_lost)
        verdict = 'ok' if each.passed else '**failed**'
        cells = (each.fault, each.expected, each.seen, stop, lost, verdict)
        lines.append(f'| {" | ".join(cell.replace("|", "/") for cell in cells)} |')
    return '\n'.join(lines) + '\n'
