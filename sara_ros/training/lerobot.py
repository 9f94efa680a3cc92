"""Recordings in LeRobot layout: parquet states and actions, and videos by camera."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
import re
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from pyarrow import types

from sara_ros.core import ParameterError, SpecError
from sara_ros.core.listing import listed
from sara_ros.training.lerobot_info import ACTION, STATE, Info
from sara_ros.training.lerobot_layout import LAYOUTS, Layout

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Episode:
    """
    States ``(T, S)``, actions ``(T, A)`` and the instruction of one episode, or of a part of it.

    :param first: row of the episode that the part begins with.
    :param rows: of the whole episode; 0: as many as there are here.
    """

    index: int
    states: Floats
    actions: Floats
    instruction: str
    first: int = 0
    rows: int = 0

    def part(self, first: int, end: int) -> Episode:
        """Return rows ``first`` to ``end`` of a whole episode."""
        return Episode(
            self.index, self.states[first:end], self.actions[first:end], self.instruction, first,
            len(self.actions),
        )  # fmt: skip


class LeRobotRecording:
    """
    Episodes below a folder; those that ``meta`` describes but the folder lacks are left out.

    ``cameras`` are the videos by the names that policies have for them: ``front`` for a single
    one, else the last part of the feature, as ``wrist`` of ``observation.images.wrist``. The
    first one drives.
    """

    def __init__(self, root: Path, cameras: Sequence[str] = ()) -> None:
        """
        Read ``meta``.

        :param cameras: those to read, by feature or its last part; all when empty.
        :raises ParameterError: when it is missing or not complete, of another version, or has no
            such camera.
        """
        self.root = root
        try:
            self._info = Info(root, LAYOUTS)
            self._layout: Layout = LAYOUTS[self._info.version](root, self._info)
            self._tasks = self._layout.tasks()
        except SpecError as err:
            raise ParameterError(f'{err}; correct the file') from err
        self.fps = self._info.fps
        self.cameras = _views(_chosen(root, self._info.videos, cameras))

    def names(self, feature: str) -> tuple[str, ...]:
        """
        Return the dimension names of ``observation.state`` or ``action``.

        :raises ParameterError: when ``meta`` does not name every dimension.
        """
        return self._info.names(feature)

    @property
    def action_frame(self) -> str:
        """The frame that displacements are in; empty where the recording does not say."""
        return self._info.action_frame

    @property
    def tasks_path(self) -> Path:
        """The file that names the tasks."""
        return self._layout.tasks_path

    def indices(self) -> list[int]:
        """
        Return the episodes whose data is there.

        :raises ParameterError: when there is none.
        """
        described = self._layout.described()
        found = [index for index in described if self._layout.data_path(index).exists()]
        if not found:
            first = f', the first {self._layout.data_path(described[0])}' if described else ''
            raise ParameterError(
                f'{self.root}: none of {len(described)} episodes has its parquet file{first}'
            )
        return found

    def episode(self, index: int) -> Episode:
        """
        Read states and actions.

        :raises ParameterError: for a file that cannot be read, for wrong shapes, for values that
            are not finite, and for a task that ``meta`` does not name.
        """
        path = self._layout.data_path(index)
        table = self._layout.table(index)
        return Episode(
            index=index,
            states=self._matrix(table, STATE, path),
            actions=self._matrix(table, ACTION, path),
            instruction=self._instruction(table, path),
        )

    def images(self, index: int, height: int, width: int, view: str = '') -> NDArray[np.uint8]:
        """
        Decode a video of an episode to ``(T, height, width, 3)``, averaging areas.

        :param view: a name in ``cameras``; the first when empty.
        :raises ParameterError: when the video is missing or not of the stated size.
        """
        frames = [
            cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA)
            for frame in self.frames(index, view)
        ]
        if not frames:
            path = self._layout.video(index, self._feature(view)).path
            raise ParameterError(f'{path} holds no frame of episode {index}')
        return np.stack(frames).astype(np.uint8)

    def frames(self, index: int, view: str = '') -> Iterator[NDArray[np.uint8]]:
        """
        Yield the frames of an episode as recorded, ``(H, W, 3)`` RGB.

        :param view: a name in ``cameras``; the first when empty.
        :raises ParameterError: when the video is missing, broken or not of the stated size.
        """
        import av

        feature = self._feature(view)
        part = self._layout.video(index, feature)
        path = part.path
        if not path.exists():
            raise ParameterError(f'{path} is missing; the recording is not complete')
        stated = self._info.picture(feature)
        try:
            with av.open(str(path)) as container:
                for frame in islice(_from(container, part.start_sec, self.fps), part.frames):
                    if (frame.height, frame.width) != stated:
                        raise ParameterError(
                            f'{path}: frames are {frame.width}x{frame.height}, meta states '
                            f'{stated[1]}x{stated[0]}'
                        )
                    yield frame.to_ndarray(format='rgb24').astype(np.uint8, copy=False)
        except (av.FFmpegError, IndexError) as err:
            raise ParameterError(f'{path} cannot be decoded: {err}; restore the file') from err

    def _feature(self, view: str) -> str:
        return self.cameras[view] if view else next(iter(self.cameras.values()))

    def _instruction(self, table: Any, path: Path) -> str:
        """Return what is to be done; empty where the recording names no tasks."""
        column = 'task_index'
        task = table[column][0].as_py() if column in table.column_names else 0
        if not self._tasks:
            return ''
        if task not in list(self._tasks):  # a list, because a broken file may hold anything
            known, place = listed([str(each) for each in self._tasks]), self._layout.tasks_path
            raise ParameterError(
                f"{path}: '{column}' is {task!r:.80}, {place} has {known}; add the task there"
            )
        return self._tasks[task]

    def _matrix(self, table: Any, name: str, path: Path) -> Floats:
        size = self._info.size(name)
        if name not in table.column_names:
            raise ParameterError(f"{path}: column '{name}' is missing")
        kind = table[name].type
        if not _lists_numbers(kind):
            raise ParameterError(
                f"{path}: column '{name}' is of type {kind}; write a list of {size} numbers a row"
            )
        rows = table[name].to_pylist()
        wrong = next((row for row in rows if row is None or len(row) != size), None)
        if not rows or wrong is not None:
            seen = 'no rows' if not rows else f'a row of {len(wrong) if wrong else 0}'
            raise ParameterError(f"{path}: '{name}' has {seen}, meta states {size} numbers")
        values = np.asarray(rows, np.float32)
        if not np.isfinite(values).all():
            row = int(np.flatnonzero(~np.isfinite(values).all(axis=1))[0])
            raise ParameterError(f"{path}: '{name}' is not finite in row {row}")
        return values


def _lists_numbers(kind: Any) -> bool:
    lists = types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)
    return lists and (types.is_floating(kind.value_type) or types.is_integer(kind.value_type))


def _chosen(root: Path, videos: Sequence[str], wanted: Sequence[str]) -> list[str]:
    found = []
    for name in wanted or videos:
        fitting = [each for each in videos if name in (each, _last(each))]
        if not fitting:
            raise ParameterError(f"{root}: no camera '{name}'; it has: {', '.join(videos)}")
        found.append(fitting[0])
    return list(dict.fromkeys(found))


def _views(features: Sequence[str]) -> dict[str, str]:
    if len(features) == 1:
        return {'front': features[0]}
    short = {_last(feature): feature for feature in features}
    whole = {re.sub(r'\W', '_', feature): feature for feature in features}
    return short if len(short) == len(features) else whole


def _last(feature: str) -> str:
    """Return the last part of a feature as ROS can have it in a name."""
    name = re.sub(r'\W', '_', feature.rpartition('.')[2])
    return f'camera_{name}' if name[:1].isdigit() else name


def _from(container: Any, start_sec: float, fps: float) -> Iterator[Any]:
    """Yield the frames from ``start_sec`` on; the key frame before it is decoded as well."""
    stream = container.streams.video[0]
    if start_sec > 0:
        container.seek(round(start_sec / stream.time_base), stream=stream)
    # Half a frame: stamps are rounded to the time base of the stream.
    first_sec = start_sec - 0.5 / fps
    return (frame for frame in container.decode(stream) if (frame.time or 0.0) >= first_sec)
