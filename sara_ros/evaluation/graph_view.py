"""The live view of a graph: tables on a terminal, one line now and then elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
import io
import re
import sys
from typing import Final, TextIO

from rich.columns import Columns
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from sara_ros.core.health import Level
from sara_ros.evaluation.formatting import NONE, number, one_line
from sara_ros.evaluation.graph_status import GraphStatus, ModelRow, StageRow

STYLES: Final = {
    Level.OK: 'green',
    Level.WARN: 'yellow',
    Level.ERROR: 'bold red',
    Level.STALE: 'magenta',
}
BAR_CELLS: Final = 24
SVG_CELLS: Final = 150


class GraphView:
    """
    Shows a graph, redrawn with every update on a terminal; elsewhere each update is a line.

    :param stream: where to print; standard output when None.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        """Prepare the view; ``with`` shows it."""
        self._stream = stream or sys.stdout
        self._console = Console(file=self._stream, highlight=False)
        self._live: Live | None = None
        # Rich's own test is also true where FORCE_COLOR is set, as in the logs of many a CI.
        if self._stream.isatty() and not self._console.is_dumb_terminal:
            self._live = Live(console=self._console, screen=True, auto_refresh=False)

    def __enter__(self) -> GraphView:
        """Take the screen."""
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Give the screen back."""
        if self._live is not None:
            self._live.stop()

    def update(self, status: GraphStatus) -> None:
        """Show ``status``."""
        if self._live is not None:
            self._live.update(render(status), refresh=True)
        else:
            print(plain_line(status), file=self._stream, flush=True)


def plain_line(status: GraphStatus) -> str:
    """Return what matters most of ``status`` in one line."""
    if status.heard_sec is None:
        return f'no policy heard of; nodes: {", ".join(status.nodes) or "none"}'
    total, age, count = status.total, status.observation_age, status.counts.get
    parts = [
        f'{_level(status.level)}: {_model(status)} {status.state}',
        f'{number(status.command_rate_hz)} Hz',
        f'sensor-to-command p50/p95/p99/max {_four(total)} ms',
        f'age p95 {number(age.p95_ms if age else None)} ms',
        f'{count("holds", 0)} holds',
        f'{count("deadline_misses", 0)} deadline misses',
        f'{sum(status.drops.values())} drops',
        f'CPU {status.cpu_percent:.0f} %, {status.memory_mib:.0f} MiB',
        one_line(status.instruction) or 'no run',
    ]
    if status.swap:
        parts.append(f'swap {one_line(status.swap)}')
    worst = [row for row in status.health if row.level == status.level != Level.OK]
    return '; '.join([*parts, *(f'{row.name}: {one_line(row.text)}' for row in worst)])


def render(status: GraphStatus) -> RenderableType:
    """Return the whole screen."""
    title = Text.assemble('sara-ros top  ', (_level(status.level), STYLES[status.level]))
    body = Group(
        _facts(status),
        '',
        Columns([_stages(status.stages, status.observation_age), _health(status)], padding=(0, 3)),
        '',
        _models(status.models),
        '',
        _topics(status),
    )
    return Panel(body, title=title, title_align='left', border_style=STYLES[status.level])


def render_svg(status: GraphStatus, width: int = SVG_CELLS) -> str:
    """Return the whole screen as an SVG picture that loads nothing, ``width`` characters wide."""
    console = Console(
        file=io.StringIO(), record=True, width=width, force_terminal=True, color_system='truecolor'
    )
    console.print(render(status))
    picture = console.export_svg(title='sara-ros top')
    return re.sub(r'@font-face \{.*?\}\s*', '', picture, flags=re.DOTALL)


def _facts(status: GraphStatus) -> Table:
    heard = 'never' if status.heard_sec is None else f'{status.heard_sec:.1f} s ago'
    rate = f'{number(status.command_rate_hz)} of {number(status.wanted_rate_hz)} Hz'
    counts = ', '.join(
        f'{value} {name.replace("_", " ")}' for name, value in status.counts.items()
    )
    gpu = f', GPU {status.gpu_memory_mib:.0f} MiB' if status.gpu_memory_mib else ''
    rows = {
        'policy': f'{_model(status)}  {status.state}, heard {heard}',
        'instruction': status.instruction or NONE,
        'commands': f'{rate}; {counts}' if counts else rate,
        'dropped': _counts(status.drops),
        'clipped': _counts(status.clips),
        'process': f'CPU {status.cpu_percent:.0f} % of a core, {status.memory_mib:.0f} MiB{gpu}',
        'swap': status.swap or NONE,
        'error': status.last_error or NONE,
        'nodes': ', '.join(status.nodes) or NONE,
    }
    table = Table.grid(padding=(0, 2))
    table.add_column(style='dim', no_wrap=True)
    table.add_column(overflow='fold')
    for name, value in rows.items():
        table.add_row(name, Text(one_line(value)))
    return table


def _stages(stages: Iterable[StageRow], age: StageRow | None) -> Table:
    rows = [*stages, *([age] if age else [])]
    table = Table('stage', '', 'p50', 'p95', 'p99', 'max ms', box=None, pad_edge=False)
    for column in table.columns[2:]:
        column.justify = 'right'
    longest_ms = max((row.p95_ms for row in rows), default=0.0)
    for row in rows:
        cells = round(BAR_CELLS * max(row.p50_ms, 0.0) / longest_ms) if longest_ms > 0 else 0
        values = (row.p50_ms, row.p95_ms, row.p99_ms, row.max_ms)
        bar = Text('█' * min(cells, BAR_CELLS), 'cyan')
        table.add_row(row.name.replace('_', ' '), bar, *(number(each) for each in values))
    return table


def _health(status: GraphStatus) -> Table:
    table = Table('diagnostics', '', '', box=None, pad_edge=False)
    for row in status.health:
        level = Text(_level(row.level), STYLES[row.level])
        table.add_row(Text(row.name), level, Text(one_line(row.text)))
    return table


def _models(models: Iterable[ModelRow]) -> Table:
    table = Table(
        'model', 'attention', 'commands', 'warm-up', 'inference p50/p95/p99/max ms',
        'sensor-to-command p50/p95/p99/max ms', box=None, pad_edge=False,
    )  # fmt: skip
    for row in models:
        counts = (str(row.commands), str(row.warm_up_excluded))
        backend = row.attention_backend or NONE
        table.add_row(row.model_id, backend, *counts, _four(row.inference), _four(row.total))
    return table


def _topics(status: GraphStatus) -> Table:
    table = Table('topic', 'type', 'from', 'to', 'Hz', box=None, pad_edge=False)
    for column in table.columns[2:]:
        column.justify = 'right'
    for row in status.topics:
        ends = (str(row.publishers), str(row.subscribers))
        table.add_row(Text(row.name), row.kind, *ends, number(row.rate_hz))
    return table


def _four(row: StageRow | None) -> str:
    if row is None:
        return NONE
    return ' / '.join(number(each) for each in (row.p50_ms, row.p95_ms, row.p99_ms, row.max_ms))


def _model(status: GraphStatus) -> str:
    backend = f' ({status.attention_backend})' if status.attention_backend else ''
    return f'{status.model_id or "no model"}{backend}{", dry run" if status.dry_run else ""}'


def _counts(counts: Mapping[str, int]) -> str:
    return ', '.join(f'{count} {name}' for name, count in counts.items()) or NONE


def _level(level: Level) -> str:
    return level.name
