"""A picture of the success table: one panel a policy, one group of bars a suite."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import io
from typing import Any, Final

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from sara_ros.evaluation.plots import LIGHT, MODEL_COLORS, WIDTH_IN, Theme, dress
from sara_ros.evaluation.success_models import column_order

PANEL_IN: Final = 2.6
_GROUP: Final = 0.84


def success_png(
    rows: Sequence[Mapping[str, Any]], theme: Theme = LIGHT, dots_per_inch: int = 130
) -> bytes:
    """Return a PNG of :func:`success_figure`."""
    png = io.BytesIO()
    figure = success_figure(rows, theme)
    figure.savefig(png, format='png', dpi=dots_per_inch, facecolor=theme.paper)
    return png.getvalue()


def success_figure(rows: Sequence[Mapping[str, Any]], theme: Theme = LIGHT) -> Figure:
    """Return bars of ``rows``, which must not be empty, with their 95 % intervals."""
    policies = list(dict.fromkeys(row['policy'] for row in rows))
    suites = list(dict.fromkeys(row['suite'] for row in rows))
    backends = sorted({row['backend'] for row in rows}, key=column_order)
    size = (WIDTH_IN, PANEL_IN * len(policies) + 0.6)
    figure = Figure(figsize=size, facecolor=theme.paper, layout='constrained')
    FigureCanvasAgg(figure)
    panels = figure.subplots(len(policies), 1, squeeze=False)[:, 0]
    for axes, policy in zip(panels, policies, strict=True):
        dress(axes, theme)
        _bars(axes, [row for row in rows if row['policy'] == policy], suites, backends)
        axes.set_title(policy, color=theme.ink, fontsize=10, loc='left')
        axes.set_xlim(-0.5, len(suites) - 0.5)
        axes.set_ylim(0, 1)
        axes.set_ylabel('success', color=theme.ink, fontsize=9)
        axes.set_xticks(range(len(suites)), suites, color=theme.ink, fontsize=9)
    handles = {
        name: handle
        for axes in panels
        for handle, name in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(
        [handles[name] for name in backends], backends, loc='outside lower center',
        ncols=len(backends),
        frameon=False, labelcolor=theme.ink, fontsize=9,
    )  # fmt: skip
    return figure


def _bars(
    axes: Axes,
    rows: Sequence[Mapping[str, Any]],
    suites: Sequence[str],
    backends: Sequence[str],
) -> None:
    width = _GROUP / len(backends)
    for index, backend in enumerate(backends):
        own = [row for row in rows if row['backend'] == backend]
        if not own:
            continue  # bars that are not there would give the legend another colour
        places = [suites.index(row['suite']) - _GROUP / 2 + (index + 0.5) * width for row in own]
        heights = [row['success'] for row in own]
        below = [row['success'] - row['ci95'][0] for row in own]
        above = [row['ci95'][1] - row['success'] for row in own]
        color = MODEL_COLORS[index % len(MODEL_COLORS)]
        axes.bar(places, heights, width * 0.92, color=color, label=backend)
        axes.errorbar(places, heights, [below, above], fmt='none', ecolor='#1c232b', lw=0.9)
