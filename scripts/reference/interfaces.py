"""Messages, services and actions, from their definitions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
import re
from typing import Final

from reference.tables import code, table

FOLDER: Final = Path(__file__).resolve().parents[2] / 'sara_ros_msgs'
PARTS: Final = {
    'msg': ('Fields',),
    'srv': ('Request', 'Response'),
    'action': ('Goal', 'Result', 'Feedback'),
}
_FIELD: Final = re.compile(r'(?P<type>[\w/\[\]<=]+)\s+(?P<name>\w+)(?P<value>\s*=\s*[^#]+)?')


@dataclass(slots=True)
class Field:
    """One field or constant; ``value`` is empty for a field."""

    type: str
    name: str
    value: str
    about: str


@dataclass(slots=True)
class Definition:
    """An interface: what it is for, and the fields of each of its parts."""

    name: str
    about: str
    parts: list[list[Field]] = field(default_factory=list)


def interfaces(kind: str) -> str:
    """
    Return a section for each interface.

    :param kind: ``msg``, ``srv`` or ``action``.
    """
    return '\n\n'.join(_section(each, kind) for each in definitions(kind))


def definitions(kind: str) -> list[Definition]:
    """Return the interfaces of a kind by name."""
    return [read(path) for path in sorted((FOLDER / kind).glob(f'*.{kind}'))]


def read(path: Path) -> Definition:
    """Read a ``.msg``, ``.srv`` or ``.action`` file."""
    head, *parts = re.split(r'^---$', path.read_text(encoding='utf-8'), flags=re.MULTILINE)
    about, body = _split_head(head)
    return Definition(path.stem, about, [list(_fields(part)) for part in (body, *parts)])


def first_sentence(about: str) -> str:
    """Return the sentence that says what an interface is, without its full stop."""
    return re.split(r'\.(?:\s|$)', about, maxsplit=1)[0]


def _split_head(text: str) -> tuple[str, str]:
    """Separate the comment at the top from the fields."""
    lines = text.strip().splitlines()
    count = next((i for i, line in enumerate(lines) if not line.startswith('#')), len(lines))
    paragraph = '\n'.join(line.removeprefix('#').strip() for line in lines[:count])
    return paragraph.strip(), '\n'.join(lines[count:])


def _fields(text: str) -> Iterator[Field]:
    newest: Field | None = None
    for line in text.splitlines():
        declared, _, comment = line.partition('#')
        match = _FIELD.match(declared.strip())
        if match:
            if newest is not None:
                yield newest
            value = (match['value'] or '').strip().removeprefix('=').strip()
            newest = Field(match['type'], match['name'], value, comment.strip())
        elif newest is not None and comment and not declared.strip() and line[0] != '#':
            newest.about += ' ' + comment.strip()
    if newest is not None:
        yield newest


def _section(definition: Definition, kind: str) -> str:
    lines = [f'### {definition.name}', definition.about]
    for title, fields in zip(PARTS[kind], definition.parts, strict=True):
        if len(PARTS[kind]) > 1:
            lines.append(f'**{title}**' if fields else f'**{title}**: empty')
        constants = [each for each in fields if each.value]
        plain = [each for each in fields if not each.value]
        if constants:
            rows = ((code(each.name), code(each.value), each.about) for each in constants)
            lines.append(table(('Constant', 'Value', 'Meaning'), rows))
        if plain:
            rows = ((code(each.name), code(each.type), each.about) for each in plain)
            lines.append(table(('Field', 'Type', 'Meaning'), rows))
    return '\n\n'.join(line for line in lines if line)
