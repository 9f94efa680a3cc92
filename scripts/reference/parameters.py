"""The parameters of the nodes, from what they declare."""

from __future__ import annotations

from importlib import import_module
import inspect
from pathlib import Path
from typing import Any, Final

from reference.tables import code, table

FOLDER: Final = Path(__file__).resolve().parents[2] / 'sara_ros' / 'nodes'
SHOWN: Final = ('policy', 'model_manager', 'simulator', 'player', 'bag_player')
"""Nodes that the page shows by itself, with more than their parameters."""

LARGEST: Final = 2**31 - 1
"""Upper bound that stands for none."""


def nodes() -> list[str]:
    """Return the modules below ``sara_ros.nodes`` that are nodes with a process of their own."""
    texts = {path.stem: path.read_text(encoding='utf-8') for path in sorted(FOLDER.glob('*.py'))}
    return [
        name for name, text in texts.items() if '\ndef main(' in text and '\nPARAMETERS' in text
    ]


def others() -> str:
    """Return a section for each node that is not in ``SHOWN``: what it does, and parameters."""
    return '\n\n'.join(_section(name) for name in nodes() if name not in SHOWN)


def _section(name: str) -> str:
    module = import_module(f'sara_ros.nodes.{name}')
    about = next(
        inspect.getdoc(each) or ''
        for each in vars(module).values()
        if inspect.isclass(each) and each.__module__ == module.__name__
        and each.__name__.endswith('Node')
    )  # fmt: skip
    text = about.replace('``', '`')
    return f'## `{name}`\n\n{text}\n\n### Parameters of `{name}`\n\n{parameters(name)}'


def parameters(node: str) -> str:
    """
    Return the parameters that ``node`` declares.

    :param node: module below ``sara_ros.nodes``.
    """
    specs = import_module(f'sara_ros.nodes.{node}').PARAMETERS
    return table(
        ('Parameter', 'Default', 'Range', 'Description'),
        ((code(each.name), code(_default(each.default)), _range(each), each.description)
         for each in specs),
    )  # fmt: skip


def _default(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value) if isinstance(value, (str, list, tuple)) else f'{value}'


def _range(spec: Any) -> str:
    """Return the range that rclpy checks, and whether the value is fixed at the start."""
    descriptor = spec.descriptor()
    ranges = [*descriptor.integer_range, *descriptor.floating_point_range]
    parts = [_bounds(each.from_value, each.to_value) for each in ranges]
    return ', '.join([*parts, *(['at start only'] if descriptor.read_only else [])])


def _bounds(low: float, high: float) -> str:
    if high >= LARGEST:
        return f'from {low:.10g}'
    return f'{low:.10g} to {high:.10g}'
