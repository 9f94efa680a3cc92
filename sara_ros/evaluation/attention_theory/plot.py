"""The picture of the attention analysis."""

from __future__ import annotations

from collections.abc import Mapping
import io
from typing import Any, Final

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from sara_ros.evaluation.attention_speed.plots import COLORS, draw_speedups, dress, plain_numbers
from sara_ros.evaluation.plots import LIGHT, Theme

SIZE_IN: Final = (13.5, 7.8)


def analysis_png(
    result: Mapping[str, Any], theme: Theme = LIGHT, dots_per_inch: int = 110
) -> bytes:
    """Return a PNG: kernel mean, kernel error, Taylor weights, and speed over SDPA by dtype."""
    figure = Figure(figsize=SIZE_IN, facecolor=theme.paper, layout='constrained')
    FigureCanvasAgg(figure)
    (mean, error, negative), (*timed, last) = figure.subplots(2, 3)
    for axes in (mean, error, negative):
        dress(axes, theme)
    _means(mean, result['kernel'], theme)
    _errors(error, result['kernel'], theme)
    _negative(negative, result['taylor'], theme)
    cells = result['timing']['cells']
    names = list(dict.fromkeys(name for cell in cells for name in cell['contenders']))
    for axes, dtype in zip(timed, dict.fromkeys(cell['dtype'] for cell in cells), strict=False):
        draw_speedups(axes, [cell for cell in cells if cell['dtype'] == dtype], names, theme)
    handles, labels = timed[0].get_legend_handles_labels()
    last.axis('off')
    last.legend(handles, labels, loc='center left', frameon=False, labelcolor=theme.ink)
    png = io.BytesIO()
    figure.savefig(png, format='png', dpi=dots_per_inch, facecolor=theme.paper)
    return png.getvalue()


def _means(axes: Axes, kernel: Mapping[str, Any], theme: Theme) -> None:
    for index, name in enumerate(('sara', 'performer')):
        rows = kernel[name]['by_features']
        sizes = [row['features'] * (1 + 0.08 * index) for row in rows]
        values = [row['mean']['value'] for row in rows]
        spans = [
            [row['mean']['value'] - row['mean']['low'] for row in rows],
            [row['mean']['high'] - row['mean']['value'] for row in rows],
        ]
        axes.errorbar(sizes, values, yerr=spans, fmt='o', ms=4, color=COLORS[index], label=name)
    axes.axhline(1.0, color=theme.ink, lw=1.0)
    _features(axes, kernel, theme)
    axes.set_ylabel('mean estimate over kernel and constant, 95 %', color=theme.ink, fontsize=9)
    _title(axes, 'Random features are unbiased', theme)
    axes.legend(frameon=False, fontsize=9, labelcolor=theme.ink)


def _errors(axes: Axes, kernel: Mapping[str, Any], theme: Theme) -> None:
    for index, name in enumerate(('sara', 'performer')):
        rows = kernel[name]['by_features']
        label = f'{name}, slope {kernel[name]["slope"]["value"]:.3f}'
        sizes, errors = [row['features'] for row in rows], [row['error'] for row in rows]
        axes.plot(sizes, errors, 'o-', ms=4, color=COLORS[index], label=label)
    rows = kernel['sara']['by_features']
    expected = [row['expected_error'] for row in rows]
    axes.plot([row['features'] for row in rows], expected, ':', color=theme.ink, label='expected')
    axes.set_yscale('log')
    plain_numbers(axes)
    _features(axes, kernel, theme)
    axes.set_ylabel('relative error of one estimate', color=theme.ink, fontsize=9)
    _title(axes, 'The error falls as 1 / sqrt(m)', theme)
    axes.legend(frameon=False, fontsize=9, labelcolor=theme.ink)


def _negative(axes: Axes, taylor: Mapping[str, Any], theme: Theme) -> None:
    rows = [(f'normal, deviation {row["deviation"]:g}', row) for row in taylor['random']]
    rows += [(f'{row["model"]} {row["layer"]}', row) for row in taylor['models']]
    shares = [100 * row['negative'] for _, row in rows]
    colors = [COLORS[0 if 'deviation' in row else 1] for _, row in rows]
    axes.barh([label for label, _ in rows], shares, color=colors, height=0.6)
    axes.invert_yaxis()
    axes.grid(visible=False, axis='y')
    axes.set_xlabel('negative weights (%)', color=theme.ink, fontsize=9)
    _title(axes, 'Taylor weights below zero', theme)


def _features(axes: Axes, kernel: Mapping[str, Any], theme: Theme) -> None:
    sizes = kernel['settings']['features']
    axes.set_xscale('log')
    axes.set_xticks(sizes, [str(size) for size in sizes])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel('features m', color=theme.ink, fontsize=9)


def _title(axes: Axes, text: str, theme: Theme) -> None:
    axes.set_title(text, loc='left', color=theme.ink, fontsize=10, fontweight='bold')
