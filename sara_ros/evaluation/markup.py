"""HTML that is escaped by construction: only an :class:`Html` is written as it is."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from html import escape
from typing import Final

VOID: Final = ('img', 'meta', 'source')
"""Elements that have no end tag."""


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


def tag(name: str, /, *children: object, **attributes: object) -> Html:
    """
    Return an element; children that are not :class:`Html` are escaped.

    A trailing underscore in an attribute's name is dropped and other underscores become hyphens;
    an attribute that is True stands without a value.
    """
    start = ''.join(_attribute(key, value) for key, value in attributes.items())
    if name in VOID:
        return Html(f'<{name}{start}>')
    return Html(f'<{name}{start}>{joined(children)}</{name}>')


def joined(children: Iterable[object]) -> Html:
    """Return ``children`` one after the other, escaped where needed."""
    return Html(''.join(c if isinstance(c, Html) else escape(str(c)) for c in children))


def table(
    caption: object, heads: Sequence[str], rows: Iterable[Sequence[object]], numbers: int = 0
) -> Html:
    """Return a table whose last ``numbers`` columns are right-aligned; no heads, no head row."""
    first_number = len(heads) - numbers
    classes = ['number' if index >= first_number else '' for index in range(len(heads))]
    head = tag('tr', *(_cell('th', h, c) for h, c in zip(heads, classes, strict=True)))
    body = [
        tag('tr', *(_cell('td', v, c) for v, c in zip(row, classes, strict=True))) for row in rows
    ]
    title = tag('caption', caption) if caption else Html()
    return tag('table', title, tag('thead', head) if any(heads) else Html(), tag('tbody', *body))


def badge(text: str, color: str) -> Html:
    """Return a small label; ``color`` is a class of the style sheet."""
    return tag('span', text, class_=f'badge {color}')


def data_uri(media_type: str, data: bytes) -> str:
    """Return an address that holds ``data`` itself."""
    return f'data:{media_type};base64,{base64.b64encode(data).decode()}'


def _cell(name: str, value: object, class_: str) -> Html:
    return tag(name, value, class_=class_) if class_ else tag(name, value)


def _attribute(key: str, value: object) -> str:
    name = key.rstrip('_').replace('_', '-')
    return f' {name}' if value is True else f' {name}="{escape(str(value))}"'
