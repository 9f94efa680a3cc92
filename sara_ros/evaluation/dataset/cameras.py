"""Which image topics of a bag are the cameras of a data set, and what they are called."""

from __future__ import annotations

from collections.abc import Sequence
import re
from typing import Final

from sara_ros.core import ParameterError
from sara_ros.decoding.observations import MESSAGE_TYPES
from sara_ros.evaluation.replay.mapping import ReplayMap
from sara_ros.evaluation.replay.messages import Source
from sara_ros.evaluation.replay.topic_choice import absolute

_COMMON: Final = (
    'image', 'image_raw', 'image_color', 'image_rect', 'image_rect_color', 'color', 'rgb',
    'compressed',
)  # fmt: skip


def camera_topics(source: Source, known: ReplayMap, cameras: Sequence[str]) -> dict[str, str]:
    """
    Return topics by the names of their cameras, the driving one first.

    :param cameras: topics that were asked for; empty: those of the map, the only one of the bag,
        or ``/image_raw``.
    :raises ParameterError: for a topic without pictures, and when none can be told.
    """
    types = MESSAGE_TYPES['image']
    found = {each.name: each for each in source.topics if each.type in types}
    chosen = _asked(known, cameras) if cameras else _told(known, list(found))
    missing = [each for each in chosen.values() if each not in found or found[each].problem]
    if missing or not chosen:
        what = f"camera '{missing[0]}' is not there" if missing else 'which camera is not clear'
        raise ParameterError(
            f'{source.name}: {what}; image topics: {", ".join(found) or "none"}; give '
            '--camera TOPIC'
        )
    return chosen


def camera_name(topic: str) -> str:
    """Return what a camera is called after its topic: ``/wrist/image_raw`` is ``wrist``."""
    parts = [each for each in topic.split('/') if each and each not in _COMMON]
    name = re.sub(r'\W', '_', '_'.join(parts)) or 'front'
    return name if name.isidentifier() else f'camera_{name}'


def _asked(known: ReplayMap, cameras: Sequence[str]) -> dict[str, str]:
    names = {absolute(topic): name for name, topic in known.topics.items()}
    topics = [absolute(each) for each in cameras]
    chosen = {names.get(each, camera_name(each)): each for each in topics}
    if len(chosen) < len(topics):
        raise ParameterError(
            f'cameras {", ".join(topics)} would have one name; name them under topics in the map'
        )
    return chosen


def _told(known: ReplayMap, found: Sequence[str]) -> dict[str, str]:
    named = {
        name: absolute(topic) for name, topic in known.topics.items() if absolute(topic) in found
    }
    if named or len(found) == 1:
        return named or {camera_name(found[0]): found[0]}
    return {'front': '/image_raw'} if '/image_raw' in found else {}
