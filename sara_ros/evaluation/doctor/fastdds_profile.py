"""Reads from a Fast DDS profile how much shared memory a process gets for its messages."""

from __future__ import annotations

from pathlib import Path
from typing import Final
from xml.etree import ElementTree

from sara_ros.core import ParameterError

DEFAULT_SEGMENT_BYTES: Final = 512 * 1024
"""Segment of Fast DDS where no profile states one."""


def segment_bytes(path: Path) -> int:
    """
    Return the size of the shared-memory segment that ``path`` gives a participant by default.

    :returns: bytes; 0 when the profile uses no shared memory.
    :raises ParameterError: when the file is missing or not XML.
    """
    try:
        root = ElementTree.parse(path).getroot()
    except (OSError, ElementTree.ParseError) as err:
        raise ParameterError(f'{path} cannot be read: {err}') from err
    participant = _default_participant(root)
    if participant is None:
        return DEFAULT_SEGMENT_BYTES
    used = {_text(each) for each in _named(participant, 'transport_id')}
    sizes = [
        _segment(each)
        for each in _named(root, 'transport_descriptor')
        if _child(each, 'type') == 'SHM' and _child(each, 'transport_id') in used
    ]
    if _child(participant, 'useBuiltinTransports') != 'false':
        sizes.append(DEFAULT_SEGMENT_BYTES)
    return max(sizes, default=0)


def _default_participant(root: ElementTree.Element) -> ElementTree.Element | None:
    for each in _named(root, 'participant'):
        if each.get('is_default_profile') in ('true', '1'):
            return each
    return None


def _segment(descriptor: ElementTree.Element) -> int:
    stated = _child(descriptor, 'segment_size')
    return int(stated) if stated.isdigit() else DEFAULT_SEGMENT_BYTES


def _named(element: ElementTree.Element, name: str) -> list[ElementTree.Element]:
    """Return the elements of that name in any namespace."""
    return [each for each in element.iter() if each.tag.rpartition('}')[2] == name]


def _child(element: ElementTree.Element, name: str) -> str:
    found = _named(element, name)
    return _text(found[0]) if found else ''


def _text(element: ElementTree.Element) -> str:
    return (element.text or '').strip()
