"""A long session for people: a table, and a picture of how rate, latency and memory went."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from sara_ros.core.timing import STAGES
from sara_ros.evaluation.figure_png import small_png
from sara_ros.evaluation.files import write_bytes, write_text
from sara_ros.evaluation.formatting import NONE, number
from sara_ros.evaluation.plots import (
    LIGHT,
    MODEL_COLORS,
    STAGE_COLORS,
    WIDTH_IN,
    Theme,
    dress,
    legend,
)

PAGE_FILE: Final = 'soak.md'
PICTURE_FILE: Final = 'soak.png'
HEIGHT_IN: Final = 6.0
MEMORY_NOTE: Final = (
    'Memory is resident memory in MiB: "at first" is the mean of the second tenth of the '
    'session, when models are loaded and caches are full, "at last" that of the last tenth.'
)
PERCENTILES: Final = ('p50', 'p95', 'p99')


def write_pages(report: Mapping[str, Any], folder: Path, source: str) -> Path:
    """
    Write ``soak.md`` and ``soak.png`` into ``folder`` and return the first.

    :param source: name of the file there that holds ``report``.
    """
    write_bytes(folder / PICTURE_FILE, soak_png(report))
    write_text(folder / PAGE_FILE, soak_text(report, source))
    return folder / PAGE_FILE


def soak_text(report: Mapping[str, Any], source: str) -> str:
    """Return the figures as Markdown; see :func:`write_pages`."""
    parts = (
        '# A long session',
        _conditions(report, source),
        f'![Command rate, latency, stages and memory]({PICTURE_FILE})',
        _table(('', ''), _rows(report)),
        _table(('Percentiles (ms)', 'p50', 'p95', 'p99', 'max'), _percentile_rows(report)),
        _table(
            ('Process', 'CPU (% of a core)', 'Memory at first', 'at last', 'most', 'Growth'),
            _process_rows(report),
        ),
        MEMORY_NOTE,
    )
    return '\n\n'.join(parts) + '\n'


def _conditions(report: Mapping[str, Any], source: str) -> str:
    machine, minutes = report['machine'], report['duration_sec'] / 60
    return (
        f'`sara-ros soak --minutes {minutes:.0f}`: `{report["model_id"]}` moves the simulated arm '
        f'on {machine["cpu"]}, {machine["logical_cores"]} logical cores shared by all processes.\n'
        f'The figures are those of [`{source}`]({source}), which the command writes.'
    )


def cost_table(reports: Iterable[Mapping[str, Any]]) -> str:
    """Return what the model manager took in each session, as a Markdown table."""
    rows = []
    for report in reports:
        own = report['processes']['model_manager']
        rows.append((
            'CSV and MCAP' if report['exported'] else 'none',
            f'{report["duration_sec"] / 60:.0f} min',
            number(own['cpu_percent']),
            f'{own["rss_start_mib"]:.0f}',
            f'{own["rss_end_mib"]:.0f}',
        ))  # fmt: skip
    heads = ('Export', 'Session', 'CPU (% of a core)', 'Memory at the start (MiB)', 'at the end')
    return _table(heads, rows)


def _rows(report: Mapping[str, Any]) -> list[tuple[str, str]]:
    commands = report['commands']
    return [
        ('Commands', f'{commands["count"]:,} in {report["duration_sec"] / 60:.1f} min'),
        ('Command rate', f'{number(commands["rate_hz"], 3)} Hz of {commands["wanted_rate_hz"]:g}'),
        ('Periods without a command', str(commands['periods_lost'])),
        ('Periods that began late', str(commands['deadline_misses'])),
        ('Holds for want of a fresh action', str(commands['holds'])),
        ('Observations dropped', _counts(report['dropped'])),
        ('Action values limited', _counts(report['clipped'])),
        ('Runs ended', _counts(report['runs'])),
    ]


def _percentile_rows(report: Mapping[str, Any]) -> list[tuple[str, ...]]:
    named = {
        'command interval, off the period': report['commands']['jitter_ms'],
        'sensor to command': report['sensor_to_command_ms'],
        **{stage: report['stages_ms'][stage] for stage in STAGES},
    }
    return [
        (name, *(number(each[key]) for key in (*PERCENTILES, 'max')))
        for name, each in named.items()
    ]


def _process_rows(report: Mapping[str, Any]) -> list[tuple[str, ...]]:
    costs = report.get('processes', {})
    return [
        (
            f'`{name}`',
            number(costs[name]['cpu_percent']) if name in costs else NONE,
            *(number(each[key]) for key in ('first_mib', 'last_mib', 'max_mib')),
            NONE if each['growth_percent'] is None else f'{each["growth_percent"]:+.2f} %',
        )
        for name, each in report['memory'].items()
    ]


def _counts(counts: Mapping[str, int]) -> str:
    return ', '.join(f'{count:,} {name}' for name, count in counts.items()) or 'none'


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ['---'] * len(heads), *rows]
    return '\n'.join(f'| {" | ".join(line)} |' for line in lines)


def soak_png(report: Mapping[str, Any], theme: Theme = LIGHT, dots_per_inch: int = 100) -> bytes:
    """Return a PNG of rate, latency, stages and memory."""
    figure = Figure(figsize=(WIDTH_IN, HEIGHT_IN), facecolor=theme.paper, layout='constrained')
    FigureCanvasAgg(figure)
    panels = figure.subplots(2, 2)
    for axes in panels.flat:
        dress(axes, theme)
    minutes = report['minutes']
    _rate(panels[0, 0], minutes, report['commands']['wanted_rate_hz'], theme)
    _latency(panels[0, 1], minutes, theme)
    _stages(panels[1, 0], report['stages_ms'], theme)
    _memory(panels[1, 1], minutes, theme)
    return small_png(figure, dots_per_inch)


def _rate(
    axes: Axes, minutes: Sequence[Mapping[str, Any]], wanted_hz: float, theme: Theme
) -> None:
    _line(axes, minutes, [each['rate_hz'] for each in minutes], 0, 'command rate')
    axes.axhline(wanted_hz, color=theme.ink, lw=0.8, ls=':', label='wanted')
    axes.set_ylim(0, 1.3 * wanted_hz)
    _finish(axes, 'Command rate of each minute (Hz)', 'minute', theme)


def _latency(axes: Axes, minutes: Sequence[Mapping[str, Any]], theme: Theme) -> None:
    for index, name in enumerate(PERCENTILES):
        values = [each['sensor_to_command_ms'][name] for each in minutes]
        _line(axes, minutes, values, index, name)
    axes.set_ylim(bottom=0)
    _finish(axes, 'Sensor-to-command latency of each minute (ms)', 'minute', theme)


def _stages(axes: Axes, stages: Mapping[str, Mapping[str, Any]], theme: Theme) -> None:
    for row, stage in enumerate(STAGES):
        median, most = stages[stage]['p50'] or 0.0, stages[stage]['p95'] or 0.0
        axes.barh(row, median, height=0.5, color=STAGE_COLORS[stage])
        axes.vlines(most, row - 0.25, row + 0.25, color=theme.ink, lw=2)
    axes.set_yticks(range(len(STAGES)), [stage.replace('_', ' ') for stage in STAGES])
    axes.invert_yaxis()
    axes.grid(visible=False, axis='y')
    axes.set_xlim(left=0)
    axes.set_title(
        'Stages over the session: p50, p95 (line)', loc='left', color=theme.ink, fontsize=10,
        fontweight='bold',
    )  # fmt: skip
    axes.set_xlabel('ms', color=theme.ink, fontsize=9)


def _memory(axes: Axes, minutes: Sequence[Mapping[str, Any]], theme: Theme) -> None:
    names = list(dict.fromkeys(name for each in minutes for name in each['memory_mib']))
    for index, name in enumerate(names):
        _line(axes, minutes, [each['memory_mib'].get(name) for each in minutes], index, name)
    axes.set_ylim(bottom=0)
    _finish(axes, 'Resident memory of each process (MiB)', 'minute', theme)


def _line(
    axes: Axes,
    minutes: Sequence[Mapping[str, Any]],
    values: Sequence[float | None],
    index: int,
    label: str,
) -> None:
    axes.plot(
        [each['minute'] for each in minutes],
        [float('nan') if value is None else value for value in values],
        color=MODEL_COLORS[index], lw=1.4, marker='.', label=label,
    )  # fmt: skip


def _finish(axes: Axes, title: str, label: str, theme: Theme) -> None:
    axes.set_title(title, loc='left', color=theme.ink, fontsize=10, fontweight='bold')
    axes.set_xlabel(label, color=theme.ink, fontsize=9)
    legend(axes, theme, columns=3)
