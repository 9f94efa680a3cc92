"""What was measured of the shipped models, from their ``policy.json``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
import json
from pathlib import Path
import re
from typing import Any, Final

from readme_tables import models_table

from reference.tables import code, table

FOLDER: Final = Path(__file__).resolve().parents[2] / 'models'


def models() -> str:
    """Return the table of models that the README has, without links out of the site."""
    return re.sub(r'\[(`[^`]+`)\]\([^)]*\)', r'\1', models_table(FOLDER))


def success() -> str:
    """Return the success of every model by verb, with intervals and protocol."""
    rows = [row for path in sorted(FOLDER.glob('*/policy.json')) for row in _rows(path)]
    return table(('Model', 'Task', 'Success', '95 % interval', 'Episodes', 'Seeds'), rows)


def recordings() -> str:
    """Return the errors on held-out episodes beside the predictions that cost nothing."""
    rows = [row for path in sorted(FOLDER.glob('*/policy.json')) for row in _errors(path)]
    heads = ('Model', 'Frames', 'Policy', 'Training mean', 'Copy state', 'Copy previous action')
    return table(heads, rows)


def _errors(path: Path) -> Iterator[tuple[str, ...]]:
    policy = json.loads(path.read_text(encoding='utf-8'))
    metrics = policy['metrics']
    if 'mean_absolute_error' in metrics:
        keys = ('training_mean', 'copy_state', 'copy_previous_action')
        errors = [metrics['mean_absolute_error'], *(metrics['baselines'][key] for key in keys)]
        yield (code(policy['spec']['model_id']), str(metrics['held_out_frames']),
               *(f'{error:.4f}' for error in errors))  # fmt: skip


def _rows(path: Path) -> Iterator[tuple[str, ...]]:
    policy = json.loads(path.read_text(encoding='utf-8'))
    closed = policy['metrics'].get('closed_loop')
    if not closed:
        return
    first, last = closed['seeds']
    for task, row in {**closed['per_verb'], 'all': closed}.items():
        yield (code(policy['spec']['model_id']), task, *_share(row), f'{first} to {last}')


def _share(row: Mapping[str, Any]) -> tuple[str, str, str]:
    low, high = row['ci95']
    share = f'{row["success"]:.1%} ({row["successes"]})'
    return share, f'{low:.1%} to {high:.1%}', str(row['episodes'])
