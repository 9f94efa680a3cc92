"""Pictures of where the time between sensor and command went."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
import io
from pathlib import Path
from typing import Any, Final

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from sara_ros.core.timing import STAGES
from sara_ros.evaluation.files import write_bytes
from sara_ros.evaluation.samples import CommandSample, summarise

STAGE_COLORS: Final = dict(
    zip(
        STAGES,
        ('#56B4E9', '#F0E442', '#009E73', '#0072B2', '#E69F00', '#CC79A7'),
        strict=True,
    )
)
"""Okabe and Ito's palette, which people with any colour vision can tell apart."""

MODEL_COLORS: Final = ('#CC6677', '#44AA99', '#AA4499', '#999933', '#6699CC', '#882255')
"""Paul Tol's muted palette, which shares no colour with the stages."""

MODEL_MARKERS: Final = ('o', '^', 's', 'D', 'v', 'P')
WIDTH_IN: Final = 11.0
HEIGHT_IN: Final = 4.2
ROW_IN: Final = 0.75
OFF_SCALE: Final = 1.6
"""The latency axis ends at this multiple of p99; what lies beyond is counted on the plot."""

LABEL_SPACING: Final = 0.05


@dataclass(frozen=True, slots=True)
class Theme:
    """Colours of everything that is not data."""

    paper: str
    ink: str
    faint: str


LIGHT: Final = Theme(paper='#ffffff', ink='#1c232b', faint='#d9dee4')
DARK: Final = Theme(paper='#171c22', ink='#e4e8ec', faint='#39424c')


def timing_plot(samples: Sequence[CommandSample], path: Path) -> Path:
    """
    Write a PNG of stage medians per model and of latency over the session; return ``path``.

    Warm-up and holds are left out, as in every figure of the report.
    """
    write_bytes(path, timing_png(samples))
    return path


def timing_png(
    samples: Sequence[CommandSample], theme: Theme = LIGHT, dots_per_inch: int = 160
) -> bytes:
    """Return the PNG that :func:`timing_plot` writes, in the colours of ``theme``."""
    counted = [sample for sample in samples if sample.counted]
    height_in = max(HEIGHT_IN, 1.2 + ROW_IN * len(_models(counted)))
    figure = Figure(figsize=(WIDTH_IN, height_in), facecolor=theme.paper, layout='constrained')
    FigureCanvasAgg(figure)
    bars, series = figure.subplots(1, 2, width_ratios=(1.0, 1.15))
    for axes in (bars, series):
        dress(axes, theme)
    if counted:
        summary = summarise(counted)
        by_policy = summary['by_policy']
        _stage_bars(bars, {model: by_policy[model] for model in _models(counted)}, theme)
        _latency_series(series, counted, theme)
        _percentile_lines(series, summary['sensor_to_command_ms'], theme)
    else:
        for axes in (bars, series):
            axes.text(0.5, 0.5, 'no commands', transform=axes.transAxes, ha='center', c=theme.ink)
    png = io.BytesIO()
    figure.savefig(png, format='png', dpi=dots_per_inch, facecolor=theme.paper)
    return png.getvalue()


def _models(samples: Sequence[CommandSample]) -> list[str]:
    """Return the model ids in the order in which they drove."""
    return list(dict.fromkeys(sample.model_id for sample in samples))


def dress(axes: Axes, theme: Theme) -> None:
    """Give axes the colours of ``theme``."""
    axes.set_facecolor(theme.paper)
    axes.tick_params(colors=theme.ink, labelsize=9, length=0)
    axes.spines[['top', 'right']].set_visible(False)
    axes.spines[['left', 'bottom']].set_color(theme.faint)
    axes.grid(color=theme.faint, linewidth=0.6)
    axes.set_axisbelow(True)


def _stage_bars(axes: Axes, models: Mapping[str, Mapping[str, Any]], theme: Theme) -> None:
    left_ms = dict.fromkeys(models, 0.0)
    for stage in STAGES:
        medians = {m: facts['stages_ms'][stage]['p50'] or 0.0 for m, facts in models.items()}
        axes.barh(
            list(models),
            list(medians.values()),
            left=list(left_ms.values()),
            height=0.4,
            color=STAGE_COLORS[stage],
            label=stage.replace('_', ' '),
        )
        left_ms = {model: left_ms[model] + medians[model] for model in models}
    for row, facts in enumerate(models.values()):
        _total_marks(axes, row, facts['sensor_to_command_ms'], theme)
    axes.set_ylim(len(models) - 0.6, -0.6)
    axes.set_xlim(0, 1.08 * max(facts['sensor_to_command_ms']['p95'] for facts in models.values()))
    axes.grid(visible=False, axis='y')
    axes.set_xlabel('latency (ms)', color=theme.ink, fontsize=9)
    _title(axes, 'Where the time goes: median of each stage', theme)
    legend(axes, theme, columns=3)


def _total_marks(axes: Axes, row: int, total: Mapping[str, Any], theme: Theme) -> None:
    axes.vlines(total['p95'], row - 0.2, row + 0.2, color=theme.ink, lw=2)
    text = f'sensor-to-command p50 {total["p50"]:.1f} ms, p95 (line) {total["p95"]:.1f} ms'
    place = axes.get_yaxis_transform()
    axes.text(0.01, row - 0.29, text, transform=place, c=theme.ink, va='center', fontsize=8.5)


def _latency_series(axes: Axes, samples: Sequence[CommandSample], theme: Theme) -> None:
    for index, model in enumerate(_models(samples)):
        own = [sample for sample in samples if sample.model_id == model]
        axes.scatter(
            [sample.time_sec for sample in own],
            [sample.total_ms or 0.0 for sample in own],
            s=12,
            linewidths=0,
            alpha=0.8,
            color=MODEL_COLORS[index % len(MODEL_COLORS)],
            marker=MODEL_MARKERS[index % len(MODEL_MARKERS)],
            label=model,
        )
    axes.set_xlabel('time since the session started (s)', color=theme.ink, fontsize=9)
    axes.set_ylabel('latency (ms)', color=theme.ink, fontsize=9)
    _title(axes, 'Sensor-to-command latency of each command', theme)
    legend(axes, theme, columns=3)


def _percentile_lines(axes: Axes, total: Mapping[str, Any], theme: Theme) -> None:
    limit_ms = OFF_SCALE * total['p99']
    top_ms = min(limit_ms, total['max'] * 1.08)
    axes.set_ylim(0, top_ms)
    lowest_ms = 0.0
    for name, style in {'p50': '-', 'p95': '--', 'p99': ':'}.items():
        value_ms = total[name]
        axes.axhline(value_ms, ls=style, lw=1.0, color=theme.ink)
        # Labels of lines that are close together move up until they can be read.
        lowest_ms = max(value_ms, lowest_ms)
        text = f'{name} {value_ms:.1f}'
        place = axes.get_yaxis_transform()
        axes.text(1.01, lowest_ms, text, transform=place, va='center', c=theme.ink, fontsize=8.5)
        lowest_ms += LABEL_SPACING * top_ms
    if total['max'] > limit_ms:
        text = f'off the scale: max {total["max"]:.0f} ms'
        axes.text(0.99, 0.97, text, transform=axes.transAxes, ha='right', va='top', c=theme.ink)


def _title(axes: Axes, text: str, theme: Theme) -> None:
    axes.set_title(text, loc='left', color=theme.ink, fontsize=10.5, fontweight='bold', pad=10)


def legend(axes: Axes, theme: Theme, columns: int) -> None:
    """Put a legend below ``axes``."""
    axes.legend(
        loc='upper center',
        bbox_to_anchor=(0.5, -0.14),
        ncols=columns,
        frameon=False,
        fontsize=8.5,
        labelcolor=theme.ink,
        handlelength=1.2,
        columnspacing=1.4,
    )
