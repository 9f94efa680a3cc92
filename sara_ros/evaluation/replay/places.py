"""Where recordings are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sara_ros.core import ParameterError
from sara_ros.evaluation.replay.bag import Bag
from sara_ros.evaluation.replay.lerobot_source import LeRobotSource, episodes_of, is_lerobot
from sara_ros.evaluation.replay.messages import Source, name_of


@dataclass(frozen=True, slots=True)
class Place:
    """Where a recording is: a bag, or one episode of a LeRobot folder."""

    path: Path
    episode: int | None = None

    @property
    def name(self) -> str:
        """What the recording is called."""
        return name_of(self.path) + ('' if self.episode is None else f'#{self.episode}')

    def open(self) -> Source:
        """
        Open the recording.

        :raises BagError: when it cannot be read.
        """
        if self.episode is not None:
            return LeRobotSource(self.path, self.episode)
        return Bag(self.path)


def places_of(path: Path, episodes: Sequence[int] = ()) -> list[Place]:
    """
    Return the recordings at ``path``.

    :param episodes: of a LeRobot folder; all that are there when empty.
    :raises BagError: when there is none.
    """
    if is_lerobot(path):
        return [Place(path, index) for index in episodes_of(path, episodes)]
    if episodes:
        raise ParameterError(
            f'{name_of(path)} has no episodes; --episodes goes with LeRobot folders'
        )
    return [Place(path)]
