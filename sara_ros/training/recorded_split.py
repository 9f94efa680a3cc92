"""Which frames of a recording are held out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sara_ros.core import ParameterError
from sara_ros.training.lerobot import Episode

SHARE: Final = 0.2
"""Of the frames of an only episode."""


def split(episodes: Sequence[Episode], held_out: int) -> tuple[list[Episode], list[Episode]]:
    """
    Return what is trained on and what is held out: the last ``held_out`` episodes.

    At most a third of all episodes is held out, but at least one; of an only episode its last
    fifth.

    :raises ParameterError: for fewer than one, and for an only episode of too few frames.
    """
    if held_out < 1:
        raise ParameterError(f'held_out is {held_out}; at least one episode is held out')
    if len(episodes) == 1:
        return _parts(episodes[0])
    count = max(1, min(held_out, len(episodes) // 3))
    return list(episodes[:-count]), list(episodes[-count:])


def _parts(episode: Episode) -> tuple[list[Episode], list[Episode]]:
    frames = len(episode.actions)
    first = frames - round(SHARE * frames)
    # The copied action is that of the frame before, so that two frames make one error.
    if frames - first < 2:
        raise ParameterError(
            f'the only episode has {frames} frames, too few to hold a fifth of them out; record '
            'more'
        )
    return [episode.part(0, first)], [episode.part(first, frames)]
