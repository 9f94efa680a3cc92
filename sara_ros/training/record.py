"""What a training run leaves for people: a JSON record and a picture of its curves."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
import json
from pathlib import Path
import platform
from typing import Any

import torch

from sara_ros.policies.checkpoint import StoredCheckpoint
from sara_ros.training.disk import writing
from sara_ros.training.loop import CURVE_FILE

RECORD_FILE = 'record.json'
PICTURE_FILE = 'loss.png'


def machine() -> dict[str, Any]:
    """Return what the run depends on besides its settings."""
    packages = ('torch', 'numpy', 'mujoco', 'safetensors')
    return {
        'python': platform.python_version(),
        'architecture': platform.machine(),
        'threads': torch.get_num_threads(),
        'versions': {name: version(name) for name in packages},
    }


def finish_record(work: Path, stored: StoredCheckpoint, data: Mapping[str, Any]) -> Path:
    """
    Write the record and the picture of the run in ``work``.

    :param stored: the model that came out.
    :param data: what it was trained on.
    """
    curve = json.loads((work / CURVE_FILE).read_text(encoding='utf-8'))
    record = {
        'model_id': stored.checkpoint.spec.model_id,
        'command': stored.checkpoint.training.get('command', ''),
        'sha256': stored.weights['sha256'],
        'data': dict(data),
        'machine': machine(),
        **curve,
    }
    path = work / RECORD_FILE
    with writing(path) as partial:
        partial.write_text(json.dumps(record, indent=1) + '\n', encoding='utf-8')
    with writing(work / PICTURE_FILE) as partial:
        draw_losses(curve['points'], partial)
    return path


def draw_losses(points: list[dict[str, float]], path: Path) -> None:
    """Draw each loss over steps."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout='constrained')
    axes = figure.add_subplot()
    names = [name for name in points[0] if name != 'step'] if points else []
    for name in names:
        axes.plot([p['step'] for p in points], [p[name] for p in points], label=name)
    axes.set_xlabel('step')
    axes.set_ylabel('loss')
    axes.set_yscale('log')
    axes.grid(alpha=0.3)
    if names:
        axes.legend()
    figure.savefig(path, dpi=110)
