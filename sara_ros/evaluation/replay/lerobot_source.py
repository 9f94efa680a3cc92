"""Episodes of a LeRobot folder as sources of messages."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sara_ros.core.errors import describe
from sara_ros.decoding.stamps import NS
from sara_ros.evaluation.replay.messages import ACTION, BagError, BagMessage, Topic, at, name_of
from sara_ros.evaluation.replay.robot_messages import Image, JointState
from sara_ros.training.lerobot import LeRobotRecording
from sara_ros.training.recorded_targets import targets_of

IMAGE: Final = '/image_raw'
STATE: Final = '/joint_states'
START_NS: Final = NS
"""Stamp of the first frame: zero would mean that there is none."""


class LeRobotSource:
    """
    One episode: its cameras, states and actions, stamped by the frame rate.

    The first camera is ``/image_raw``, others are ``/NAME/image_raw``. All of a frame share a
    stamp; the first camera's picture arrives last, since it drives most policies.
    """

    kind = 'LeRobot episode'
    notes: Sequence[str] = ()
    unread = ''

    def __init__(self, folder: Path, index: int) -> None:
        """
        Read states and actions; the video is decoded while it is replayed.

        :raises BagError: when the folder or the episode is not complete.
        """
        self.folder = folder
        self.name = f'{name_of(folder)}#{index}'
        try:
            self._recording = LeRobotRecording(folder)
            names = [self._recording.names(each) for each in ('observation.state', 'action')]
            self._episode = self._recording.episode(index)
        except Exception as err:  # a parquet file may be broken in any way
            raise BagError(f'{self.name}: {describe(err)}') from err
        self.instruction = self._episode.instruction
        self.action_kind = targets_of(*names).kind
        count = len(self._episode.actions)
        self.topics = (
            Topic(ACTION, 'sensor_msgs/msg/JointState', count),
            *(Topic(name, 'sensor_msgs/msg/Image', count) for name in self._views()),
            Topic(STATE, 'sensor_msgs/msg/JointState', count),
        )

    def messages(self, topics: Collection[str]) -> Iterator[BagMessage]:
        """Yield the messages of ``topics``; see :class:`Source`."""
        states = self._recording.names('observation.state')
        actions = self._recording.names('action')
        frames = {
            topic: self._recording.frames(self._episode.index, view)
            for topic, view in reversed(self._views().items())
            if topic in topics
        }
        for row, stamp_ns in enumerate(self._stamps_ns()):
            if STATE in topics:
                state = JointState.of(states, self._episode.states[row], stamp_ns)
                yield BagMessage(STATE, stamp_ns, partial(_given, state))
            if ACTION in topics:
                action = JointState.of(actions, self._episode.actions[row], stamp_ns)
                yield BagMessage(ACTION, stamp_ns, partial(_given, action))
            for topic, video in frames.items():
                picture = self._image(topic, video, stamp_ns)
                yield BagMessage(topic, stamp_ns, partial(_given, picture))

    def _views(self) -> dict[str, str]:
        """Return the cameras by topic, the first one first."""
        views = list(self._recording.cameras)
        return {IMAGE: views[0], **{f'/{view}{IMAGE}': view for view in views[1:]}}

    def _stamps_ns(self) -> list[int]:
        rows = np.arange(len(self._episode.actions))
        return [START_NS + round(int(row) * NS / self._recording.fps) for row in rows]

    def _image(self, topic: str, frames: Iterator[NDArray[np.uint8]], stamp_ns: int) -> Image:
        try:
            return Image.of(next(frames), stamp_ns)
        except StopIteration:
            problem = 'the video ends before the rows do'
        except Exception as err:  # a broken video may raise anything
            problem = describe(err)
        raise BagError(f"{self.name}: broken at topic '{topic}', stamp {at(stamp_ns)}: {problem}")


def is_lerobot(path: Path) -> bool:
    """
    Tell whether a path is a LeRobot folder.

    :raises BagError: when that cannot be seen.
    """
    try:
        return (path / 'meta' / 'info.json').is_file()
    except OSError as err:
        raise BagError(f'{path} cannot be looked into: {err}') from err


def episodes_of(folder: Path, chosen: Sequence[int] = ()) -> list[int]:
    """
    Return the episodes to replay: those ``chosen``, else all whose data is there.

    :raises BagError: when the folder cannot be read or an episode is not there.
    """
    try:
        found = LeRobotRecording(folder).indices()
    except Exception as err:  # JSON and parquet files may be broken in any way
        raise BagError(f'{name_of(folder)}: {describe(err)}') from err
    missing = [index for index in chosen if index not in found]
    if missing:
        known = ', '.join(map(str, found))
        raise BagError(f'{name_of(folder)}: episode {missing[0]} is not there; it holds {known}')
    return list(chosen) or found


def _given(message: object) -> object:
    return message
