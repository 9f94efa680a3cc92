"""What an up-training run leaves for people: a JSON record, and its curves as CSV and PNG."""

from __future__ import annotations

from collections.abc import Mapping
import csv
import io
import json
from pathlib import Path
from typing import Any, Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sara_ros.training.disk import writing
from sara_ros.training.loop import CURVE_FILE

RECORD_FILE: Final = 'record.json'
CSV_FILE: Final = 'curves.csv'
PICTURE_FILE: Final = 'curves.png'

Points = list[dict[str, float]]


def read_points(folder: Path | None) -> Points:
    """Return the loss curve of the loop in ``folder``; nothing where there was none."""
    path = None if folder is None else folder / CURVE_FILE
    if path is None or not path.exists():
        return []
    points: Points = json.loads(path.read_text(encoding='utf-8'))['points']
    return points


def write_curves(folder: Path, curves: Mapping[str, Points]) -> None:
    """
    Write the curves of each phase (transfer, finetune, softmax_control) as CSV and as PNG.

    :raises DiskError: when they cannot be written.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator='\n')
    writer.writerow(('phase', 'step', 'name', 'value'))
    for phase, points in curves.items():
        for point in points:
            writer.writerows(
                (phase, point['step'], name, value)
                for name, value in point.items()
                if name != 'step'
            )
    with writing(folder / CSV_FILE) as partial:
        partial.write_text(text.getvalue(), encoding='utf-8')
    with writing(folder / PICTURE_FILE) as partial:
        partial.write_bytes(_picture(curves))


def _picture(curves: Mapping[str, Points]) -> bytes:
    figure = Figure(figsize=(10, 4), layout='constrained')
    left, right = figure.subplots(1, 2)
    for name in _names(curves['transfer']):
        style: dict[str, Any] = {'c': 'black', 'lw': 2} if name == 'loss' else {'lw': 1}
        _line(left, curves['transfer'], name, 'mean' if name == 'loss' else name, **style)
    _line(right, curves['finetune'], 'loss', 'converted', c='#0072B2')
    _line(right, curves['softmax_control'], 'loss', 'softmax control', c='#E69F00', ls='--')
    _dress(left, 'Transfer: error of each layer', 'squared error / squared softmax output')
    _dress(right, 'Fine-tuning: training loss', 'loss')
    png = io.BytesIO()
    figure.savefig(png, format='png', dpi=110)
    return png.getvalue()


def _names(points: Points) -> list[str]:
    return [name for name in points[0] if name != 'step'] if points else []


def _line(axes: Axes, points: Points, name: str, label: str, **style: Any) -> None:
    if points:
        steps, values = [p['step'] for p in points], [p[name] for p in points]
        axes.plot(steps, values, label=label, marker='.', **style)


def _dress(axes: Axes, title: str, unit: str) -> None:
    axes.set_title(title, loc='left', fontsize=10)
    axes.set_xlabel('step')
    axes.set_ylabel(unit)
    axes.grid(alpha=0.3)
    if axes.lines:
        axes.set_yscale('log')
        axes.legend(fontsize=8)
    else:
        axes.text(0.5, 0.5, 'no steps', transform=axes.transAxes, ha='center')


__all__ = ['CSV_FILE', 'PICTURE_FILE', 'RECORD_FILE', 'Points', 'read_points', 'write_curves']
