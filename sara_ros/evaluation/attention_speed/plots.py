"""Pictures of the attention benchmark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import io
from typing import Any, Final

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter, NullLocator

from sara_ros.evaluation.attention_speed.contenders import FOLDED, NAIVE, SDPA
from sara_ros.evaluation.plots import LIGHT, Theme

COLORS: Final = (
    '#332288', '#CC6677', '#44AA99', '#DDCC77', '#88CCEE', '#117733', '#AA4499', '#882255',
    '#999933', '#6699CC', '#E69F00', '#56B4E9', '#000000', '#D55E00',
)  # fmt: skip
"""Paul Tol's muted palette and some of Okabe and Ito's."""

MARKERS: Final = 'osD^vPX<>hp*'
AXIS: Final = {
    'bidirectional': ('Bidirectional', 'tokens'),
    'pct': ('PCT attention', 'points'),
    'pct_layer': ('PCT layer', 'points'),
    'history': ('One more frame of 64 tokens', 'frames in the window'),
    'history_vit': ('One more frame of 197 tokens', 'frames in the window'),
}
PANEL_IN: Final = (4.6, 3.5)
COLUMNS: Final = 3

Panel = tuple[str, int, str]


def panels(cells: Sequence[Mapping[str, Any]]) -> list[Panel]:
    """Return family, head size and dtype of each curve family that was measured."""
    keys = ('family', 'head_dim', 'dtype')
    return list(dict.fromkeys((cell[keys[0]], cell[keys[1]], cell[keys[2]]) for cell in cells))


def benchmark_png(
    result: Mapping[str, Any], theme: Theme = LIGHT, dots_per_inch: int = 110
) -> bytes:
    """Return a PNG of the speedups over the baselines: medians, and bands of the middle half."""
    cells = result['cells']
    names = list(dict.fromkeys(name for cell in cells for name in cell['contenders']))
    shown = panels(cells)
    rows = -(-len(shown) // COLUMNS)
    size = (PANEL_IN[0] * min(COLUMNS, len(shown)), PANEL_IN[1] * rows + 0.7)
    figure = Figure(figsize=size, facecolor=theme.paper, layout='constrained')
    FigureCanvasAgg(figure)
    grid = list(figure.subplots(rows, min(COLUMNS, len(shown)), squeeze=False).flat)
    for axes, panel in zip(grid, shown, strict=False):
        some = [c for c in cells if (c['family'], c['head_dim'], c['dtype']) == panel]
        draw_speedups(axes, some, names, theme)
    for axes in grid[len(shown) :]:
        axes.set_visible(False)
    handles = {
        label: handle
        for axes in figure.axes
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(
        handles.values(), handles.keys(), loc='outside lower center', ncols=6, frameon=False,
        fontsize=9, labelcolor=theme.ink,
    )  # fmt: skip
    png = io.BytesIO()
    figure.savefig(png, format='png', dpi=dots_per_inch, facecolor=theme.paper)
    return png.getvalue()


def draw_speedups(
    axes: Axes, cells: Sequence[Mapping[str, Any]], names: Sequence[str], theme: Theme = LIGHT
) -> None:
    """Draw one line a contender over the sizes of ``cells``; ``names`` fix their colours."""
    dress(axes, theme)
    baseline = cells[0]['baseline']
    for index, name in enumerate(names):
        points = [(c['size'], c['contenders'][name]) for c in cells if name in c['contenders']]
        if name == baseline or not points:
            continue
        sizes = [size for size, _ in points]
        low, middle, high = (
            [row['speedup'][key] for _, row in points] for key in ('q25', 'median', 'q75')
        )
        color = COLORS[index % len(COLORS)]
        style = '--' if name.endswith(FOLDED) else ':' if name.startswith((SDPA, NAIVE)) else '-'
        marker = MARKERS[index % len(MARKERS)]
        axes.plot(sizes, middle, style, color=color, marker=marker, ms=4, lw=1.4, label=name)
        axes.fill_between(sizes, low, high, color=color, alpha=0.15, linewidth=0)
    _scales(axes, cells, theme)


def dress(axes: Axes, theme: Theme = LIGHT) -> None:
    """Give ``axes`` the look of the report's plots."""
    axes.set_facecolor(theme.paper)
    axes.tick_params(colors=theme.ink, labelsize=8, length=0)
    axes.spines[['top', 'right']].set_visible(False)
    axes.spines[['left', 'bottom']].set_color(theme.faint)
    axes.grid(color=theme.faint, linewidth=0.6)
    axes.set_axisbelow(True)


def plain_numbers(axes: Axes) -> None:
    """Label the decades of a logarithmic y axis as they are read."""
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f'{value:g}'))
    axes.yaxis.set_minor_formatter(NullFormatter())


def _scales(axes: Axes, cells: Sequence[Mapping[str, Any]], theme: Theme) -> None:
    cell = cells[0]
    title, unit = AXIS[cell['family']]
    sizes = [row['size'] for row in cells]
    axes.set_xscale('log')
    axes.set_yscale('log')
    axes.axhline(1.0, color=theme.ink, lw=1.0)
    axes.set_xticks(sizes, [str(size) for size in sizes], rotation=60)
    axes.xaxis.set_minor_locator(NullLocator())
    plain_numbers(axes)
    axes.set_xlabel(unit, color=theme.ink, fontsize=9)
    axes.set_ylabel(f'times as fast as {cell["baseline"]}', color=theme.ink, fontsize=9)
    text = f'{title}, head size {cell["head_dim"]}, {cell["dtype"]}'
    axes.set_title(text, loc='left', color=theme.ink, fontsize=10, fontweight='bold')
