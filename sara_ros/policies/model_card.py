"""The README of a model folder, made from its ``policy.json`` and from nothing else."""

from __future__ import annotations

from collections.abc import Mapping
import json
from typing import Any, Final

from sara_ros.core.listing import listed

_MOST_INSTRUCTIONS: Final = 16


def model_card(data: Mapping[str, Any]) -> str:
    """Return the Markdown model card of the parsed ``policy.json``."""
    spec = data['spec']
    sections = [
        f'# {spec["model_id"]}\n\nWritten from `policy.json`; do not edit.',
        _overview(data),
        '## Observations\n\n' + _observations(spec),
        '## Action\n\n' + _action(spec['action']),
    ]
    for title in ('metrics', 'training', 'model', 'parent'):
        if data[title]:
            sections.append(f'## {title.capitalize()}\n\n' + _tree(data[title]))
    return '\n\n'.join(sections) + '\n'


def _overview(data: Mapping[str, Any]) -> str:
    spec, weights = data['spec'], data['weights']
    rows = {
        'Kind': spec['kind'],
        'Learned': 'yes' if spec['learned'] else 'no',
        'Attention backend': spec['attention'].get('backend', 'none'),
        'History': f'{spec["history"]} frame(s)',
        'Instructions': listed(spec['instructions'], _MOST_INSTRUCTIONS) or 'any',
        'Weights': f'{weights["size_bytes"] / 1e6:.2f} MB, SHA-256 `{weights["sha256"]}`',
    }
    return _table(('', ''), rows.items())


def _observations(spec: Mapping[str, Any]) -> str:
    header = ('name', 'kind', 'shape', 'unit', 'frame', 'maximum age (s)')
    keys = ('name', 'kind', 'shape', 'unit', 'frame', 'max_age_sec')
    return _table(header, ([need[key] for key in keys] for need in spec['observations']))


def _action(action: Mapping[str, Any]) -> str:
    keys = ('name', 'unit', 'low', 'high')
    table = _table(keys, ([_number(row[key]) for key in keys] for row in action['dimensions']))
    what = (
        f'`{action["kind"]}` in frame `{action["frame"]}`'
        if action['frame']
        else (f'`{action["kind"]}`')
    )
    return f'{what}, {action["rate_hz"]:g} Hz, {action["horizon"]} step(s) a chunk.\n\n{table}'


def _table(header: tuple[str, ...], rows: Any) -> str:
    lines = ['| ' + ' | '.join(header) + ' |', '|' + '---|' * len(header)]
    lines += ['| ' + ' | '.join(str(cell) for cell in row) + ' |' for row in rows]
    return '\n'.join(lines)


def _tree(value: Mapping[str, Any], indent: int = 0) -> str:
    lines = []
    for key, item in value.items():
        if isinstance(item, Mapping) and item:
            lines += [f'{" " * indent}- {key}:', _tree(item, indent + 2)]
        else:
            lines.append(f'{" " * indent}- {key}: {_leaf(item)}')
    return '\n'.join(lines)


def _leaf(item: Any) -> str:
    if isinstance(item, str):
        return f'`{item}`'
    text = json.dumps(item) if not isinstance(item, float) else _number(item)
    return text if len(text) <= 120 else f'{text[:100]} ... (see `policy.json`)'


def _number(value: Any) -> str:
    return f'{value:.4g}' if isinstance(value, float) else str(value)
