"""Markdown tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table; a bar within a cell stays a bar."""
    lines = [list(heads), ['---'] * len(heads), *([_cell(text) for text in row] for row in rows)]
    return '\n'.join(f'| {" | ".join(line)} |' for line in lines)


def code(text: str) -> str:
    """Return ``text`` as code; nothing for an empty one."""
    return f'`{text}`' if text else ''


def _cell(text: str) -> str:
    return ' '.join(text.split()).replace('|', '\\|')
