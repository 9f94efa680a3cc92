"""How values read in the live view, the video caption and the report."""

from __future__ import annotations

from typing import Final

NONE: Final = '-'
"""Shown where there is no value; never a zero."""


def number(value: float | None, digits: int = 1) -> str:
    """Return ``value`` with ``digits`` decimals, or a dash."""
    return NONE if value is None else f'{value:,.{digits}f}'


def outcome(success: bool | None) -> str:
    """Return the word for an episode's success; None means nobody can tell."""
    return {True: 'success', False: 'failure', None: 'not judged'}[success]


def driver(learned: bool) -> str:
    """Return what drove an episode; the expert never passes for learned."""
    return 'learned' if learned else 'scripted expert'


def one_line(text: str) -> str:
    """Return ``text`` without line breaks or control codes, which would disturb a terminal."""
    return ' '.join(''.join(c if c.isprintable() else ' ' for c in text).split())
