"""A picture of how a session went: rate, latency, process and counters over time."""

from __future__ import annotations

from collections.abc import Sequence
import io
from typing import Final

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from sara_ros.evaluation.plots import LIGHT, MODEL_COLORS, WIDTH_IN, Theme, dress, legend
from sara_ros.evaluation.telemetry_session import Event, Moment

HEIGHT_IN: Final = 6.2
MARKED: Final = ('swap', 'error')
"""Events that are drawn as lines through all panels."""


def history_png(
    moments: Sequence[Moment],
    events: Sequence[Event],
    theme: Theme = LIGHT,
    dots_per_inch: int = 130,
) -> bytes:
    """Return a PNG in the colours of ``theme``; ``moments`` must not be empty."""
    figure = Figure(figsize=(WIDTH_IN, HEIGHT_IN), facecolor=theme.paper, layout='constrained')
    FigureCanvasAgg(figure)
    panels = figure.subplots(2, 2, sharex=True)
    for axes in panels.flat:
        dress(axes, theme)
    _rate(panels[0, 0], moments, theme)
    _latency(panels[0, 1], moments, theme)
    _process(panels[1, 0], moments, theme)
    _counters(panels[1, 1], moments, theme)
    for axes in panels.flat:
        for event in events:
            if event.what in MARKED:
                axes.axvline(event.time_sec, color=theme.ink, lw=0.8, ls=':')
    for axes in panels[1]:
        axes.set_xlabel('time since the session started (s)', color=theme.ink, fontsize=9)
    png = io.BytesIO()
    figure.savefig(png, format='png', dpi=dots_per_inch, facecolor=theme.paper)
    return png.getvalue()


def _rate(axes: Axes, moments: Sequence[Moment], theme: Theme) -> None:
    _line(axes, moments, [each.command_rate_hz for each in moments], 0, 'command rate')
    axes.set_ylim(bottom=0)
    _finish(axes, 'Command rate (Hz)', theme)


def _latency(axes: Axes, moments: Sequence[Moment], theme: Theme) -> None:
    for index, name in enumerate(('p50', 'p95', 'p99')):
        values = [each.latency_ms[index] if each.latency_ms else None for each in moments]
        _line(axes, moments, values, index, name)
    ages = [each.observation_age_p95_ms for each in moments]
    _line(axes, moments, ages, 3, 'observation age p95')
    axes.set_ylim(bottom=0)
    _finish(axes, 'Sensor-to-command latency over the window (ms)', theme)


def _process(axes: Axes, moments: Sequence[Moment], theme: Theme) -> None:
    _line(axes, moments, [each.cpu_percent for each in moments], 0, 'CPU (% of a core)')
    _line(axes, moments, [each.memory_mib for each in moments], 1, 'memory (MiB)')
    if any(each.gpu_memory_mib for each in moments):
        _line(axes, moments, [each.gpu_memory_mib for each in moments], 2, 'GPU memory (MiB)')
    axes.set_ylim(bottom=0)
    _finish(axes, 'Policy process', theme)


def _counters(axes: Axes, moments: Sequence[Moment], theme: Theme) -> None:
    names = ['holds', 'deadline misses']
    reasons = sorted({reason for each in moments for reason in each.drops})
    for index, name in enumerate(names):
        _line(axes, moments, [each.counts.get(name, 0) for each in moments], index, name)
    for index, reason in enumerate(reasons[: len(MODEL_COLORS) - len(names)], len(names)):
        values = [each.drops.get(reason, 0) for each in moments]
        _line(axes, moments, values, index, f'dropped: {reason}')
    axes.set_ylim(bottom=0)
    _finish(axes, 'Holds, deadline misses and drops since activation (count)', theme)


def _line(
    axes: Axes,
    moments: Sequence[Moment],
    values: Sequence[float | None],
    index: int,
    label: str,
) -> None:
    numbers = [float('nan') if value is None else value for value in values]
    color = MODEL_COLORS[index % len(MODEL_COLORS)]
    axes.plot([each.time_sec for each in moments], numbers, color=color, lw=1.4, label=label)


def _finish(axes: Axes, title: str, theme: Theme) -> None:
    axes.set_title(title, loc='left', color=theme.ink, fontsize=10, fontweight='bold')
    legend(axes, theme, columns=3)
