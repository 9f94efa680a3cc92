"""A picture of a command stream while models come and go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
import re
from typing import Any, Final

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from sara_ros.evaluation.figure_png import small_png
from sara_ros.evaluation.plots import LIGHT, MODEL_COLORS, MODEL_MARKERS, WIDTH_IN, Theme, dress
from sara_ros.evaluation.swap_tour import ServedCommand, commands_of, intervals_ms

STATE_COLORS: Final = {
    'loading': '#DDDDDD',
    'warming': '#BBBBBB',
    'ready': '#999999',
    'trial': '#EECC66',
    'shadow': '#99CCEE',
}
"""States in which a change is under way; those of its end are told in words."""
HEIGHT_IN: Final = 5.4
LINE_IN: Final = 0.19
KEY_LENGTH: Final = 140
HEADROOM: Final = 1.3
OFF_SCALE: Final = 3.0
"""Axes end at this multiple of the period, or of the p95 of the latency."""


def timeline_png(
    report: Mapping[str, Any], theme: Theme = LIGHT, dots_per_inch: int = 100
) -> bytes:
    """Return the PNG of a report; see :func:`sara_ros.evaluation.swap_tour.tour_report`."""
    key_in = LINE_IN * (len(report['steps']) + 1)
    size = (WIDTH_IN, HEIGHT_IN + key_in)
    figure = Figure(figsize=size, facecolor=theme.paper)
    FigureCanvasAgg(figure)
    bottom = (key_in + 0.55) / size[1]
    grid = figure.add_gridspec(
        3, 1, height_ratios=(0.22, 1.0, 1.0), hspace=0.16,
        left=0.065, right=0.985, top=0.93, bottom=bottom,
    )  # fmt: skip
    intervals = figure.add_subplot(grid[2])
    latency = figure.add_subplot(grid[1], sharex=intervals)
    states = figure.add_subplot(grid[0], sharex=intervals)
    for axes in (states, latency, intervals):
        dress(axes, theme)
    commands = commands_of(report)
    _states(states, report, theme)
    _latency(latency, commands, report, theme)
    _intervals(intervals, commands, report, theme)
    for axes in (latency, intervals):
        for step in report['steps']:
            axes.axvline(step['asked_sec'], color=theme.ink, lw=0.7, ls=':')
    intervals.set_xlabel('time since the first command (s)', color=theme.ink, fontsize=9)
    intervals.set_xlim(commands[0].stamp_sec - 0.5, commands[-1].stamp_sec + 0.5)
    _key(figure, report['steps'], key_in / size[1], theme)
    return small_png(figure, dots_per_inch)


def _states(axes: Axes, report: Mapping[str, Any], theme: Theme) -> None:
    """Draw a bar for each state of a change under way, and the number of each step."""
    end = {'stamp_sec': max(step['ended_sec'] for step in report['steps']), 'state': ''}
    for before, after in pairwise([*report['states'], end]):
        if before['state'] in STATE_COLORS:
            width_sec = after['stamp_sec'] - before['stamp_sec']
            axes.barh(
                0, width_sec, left=before['stamp_sec'], height=0.8,
                color=STATE_COLORS[before['state']], lw=0,
            )  # fmt: skip
    for step in report['steps']:
        axes.text(
            step['asked_sec'], 0.62, f'{step["number"]}', c=theme.ink,
            ha='center', va='bottom', fontsize=10, fontweight='bold',
        )  # fmt: skip
    for name, color in STATE_COLORS.items():
        axes.barh(0, 0, color=color, label=name)
    axes.set_ylim(-0.5, 0.6)
    axes.set_yticks([])
    axes.grid(visible=False)
    axes.tick_params(labelbottom=False)
    axes.legend(
        loc='lower right', bbox_to_anchor=(1.0, 1.25), ncols=len(STATE_COLORS), frameon=False,
        fontsize=8.5, labelcolor=theme.ink, handlelength=1.0, borderpad=0.0,
    )  # fmt: skip


def _latency(
    axes: Axes, commands: Sequence[ServedCommand], report: Mapping[str, Any], theme: Theme
) -> None:
    timed = [each for each in commands if each.latency_ms is not None]
    _dots(axes, report, [(each, each.latency_ms or 0.0) for each in timed])
    top_ms = OFF_SCALE * (report['commands']['sensor_to_command_ms']['p95'] or 1.0)
    _limit(axes, [each.latency_ms or 0.0 for each in timed], top_ms, theme)
    axes.set_ylabel('sensor to command (ms)', color=theme.ink, fontsize=9)
    axes.tick_params(labelbottom=False)
    axes.legend(
        loc='upper left', bbox_to_anchor=(0.0, 1.02), ncols=len(report['models']),
        frameon=False, fontsize=8.5, labelcolor=theme.ink, handletextpad=0.1, columnspacing=1.2,
        markerscale=1.6,
    )  # fmt: skip


def _intervals(
    axes: Axes, commands: Sequence[ServedCommand], report: Mapping[str, Any], theme: Theme
) -> None:
    gaps = intervals_ms(commands)
    _dots(axes, report, gaps)
    facts = report['commands']
    period_ms, missed = facts['period_ms'], facts['periods_missed']
    late_ms = period_ms + facts['jitter_allowance_ms']
    axes.axhline(late_ms, color='#CC3311', lw=1.0, ls='--')
    text = f'one period missed above {late_ms:g} ms: {missed} of {len(gaps)}'
    place = axes.get_yaxis_transform()
    axes.text(0.005, late_ms * 1.03, text, transform=place, va='bottom', c='#CC3311', fontsize=9)
    _limit(axes, [gap for _, gap in gaps], OFF_SCALE * period_ms, theme, least=2 * period_ms)
    axes.set_ylabel('between commands (ms)', color=theme.ink, fontsize=9)


def _dots(
    axes: Axes, report: Mapping[str, Any], points: Sequence[tuple[ServedCommand, float]]
) -> None:
    for index, model in enumerate(each['model'] for each in report['models']):
        own = [(each.stamp_sec, value) for each, value in points if each.model == model]
        if not own:
            continue
        axes.scatter(
            [time_sec for time_sec, _ in own],
            [value for _, value in own],
            s=9, linewidths=0, label=model,
            color=MODEL_COLORS[index % len(MODEL_COLORS)],
            marker=MODEL_MARKERS[index % len(MODEL_MARKERS)],
        )  # fmt: skip


def _limit(
    axes: Axes, values: Sequence[float], most: float, theme: Theme, least: float = 0.0
) -> None:
    """End the axis where single values would press the others together, and say so."""
    largest = max(values, default=0.0)
    top = max(min(HEADROOM * largest, most), least)
    axes.set_ylim(0, top)
    beyond = sum(value > top for value in values)
    if beyond:
        text = f'{beyond} off the scale, up to {largest:.0f} ms'
        axes.text(0.99, 0.97, text, transform=axes.transAxes, ha='right', va='top', c=theme.ink)


def _key(figure: Figure, steps: Sequence[Mapping[str, Any]], height: float, theme: Theme) -> None:
    lines = [_line(step) for step in steps]
    figure.text(
        0.065, height, '\n'.join(lines), va='top', c=theme.ink, fontsize=8.5, linespacing=1.45
    )


def _line(step: Mapping[str, Any]) -> str:
    """Return a step in a line: what it led to, and why without the names that come first."""
    why = re.sub(r"^.*(?:refused|[')]): ", '', str(step['message']))
    line = f'{step["number"]}. {step["label"]}: {step["state"].replace("_", " ")}. {why}'
    return line if len(line) <= KEY_LENGTH else f'{line[: KEY_LENGTH - 4]} ...'
