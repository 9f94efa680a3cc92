"""A picture of the error of each dimension beside what costs nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import io
from typing import Any, Final

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
import numpy as np

from sara_ros.evaluation.plots import LIGHT, MODEL_COLORS, WIDTH_IN, Theme, dress
from sara_ros.evaluation.replay.scores import BASELINES

MARKERS: Final = {'training_mean': 'x', 'copy_state': '+', 'copy_previous_action': '|'}
HEIGHT_IN: Final = 3.6
MOST: Final = 4
"""Results that fit beside each other; the tables hold the others."""


def error_png(
    results: Sequence[Mapping[str, Any]], theme: Theme = LIGHT, dots_per_inch: int = 110
) -> bytes:
    """Return a PNG with one panel for the first recording of each action space."""
    figure = Figure(figsize=(WIDTH_IN, HEIGHT_IN), facecolor=theme.paper, layout='constrained')
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    dress(axes, theme)
    first = results[0]
    names = [each['name'] for each in first['error']['dimensions']]
    shown = [each for each in results if _names(each) == names and _same_bag(each, first)][:MOST]
    width = 0.8 / len(shown)
    for index, result in enumerate(shown):
        place = np.arange(len(names)) + (index - (len(shown) - 1) / 2) * width
        color = MODEL_COLORS[index % len(MODEL_COLORS)]
        axes.bar(place, _shares(result, 'policy'), width, color=color,
                 label=result['model']['name'])  # fmt: skip
    for name in BASELINES:
        label = name.replace('_', ' ')
        axes.scatter(np.arange(len(names)), _shares(first, name), marker=MARKERS[name],
                     color=theme.ink, label=label, zorder=3)  # fmt: skip
    axes.set_xticks(np.arange(len(names)), names, rotation=60, ha='right', fontsize=7.5)
    axes.set_ylabel('share of range', color=theme.ink, fontsize=9)
    figure.legend(loc='outside upper center', ncols=7, frameon=False, fontsize=8.5,
                  labelcolor=theme.ink)  # fmt: skip
    data = io.BytesIO()
    figure.savefig(data, format='png', dpi=dots_per_inch, facecolor=theme.paper)
    return data.getvalue()


def _names(result: Mapping[str, Any]) -> list[str]:
    return [each['name'] for each in result['error']['dimensions']]


def _same_bag(result: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return bool(result['bag']['name'] == other['bag']['name'])


def _shares(result: Mapping[str, Any], name: str) -> list[float]:
    return [
        np.nan if each[name] is None else each[name] / (each['range'][1] - each['range'][0])
        for each in result['error']['dimensions']
    ]
