"""A LeRobot v2.1 folder, written one frame after another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
import json
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
import pyarrow as pa
import pyarrow.parquet as parquet

from sara_ros.core import ParameterError
from sara_ros.core.action import FloatArray
from sara_ros.evaluation.dataset.layout import (
    CHUNK,
    DATA_PATH,
    VIDEO_PATH,
    arrow_metadata,
    features,
    totals,
)
from sara_ros.evaluation.dataset.moments import ImageMoments, column_statistics
from sara_ros.evaluation.video import EpisodeRecorder

LEAST_FRAMES: Final = 2
"""Shorter episodes are not kept."""

Picture = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Written:
    """An episode in the folder."""

    index: int
    frames: int
    instruction: str


@dataclass(slots=True)
class _Episode:
    """Rows and open videos of the episode in progress."""

    instruction: str
    states: list[FloatArray] = field(default_factory=list)
    actions: list[FloatArray] = field(default_factory=list)
    videos: dict[str, EpisodeRecorder] = field(default_factory=dict)
    moments: dict[str, ImageMoments] = field(default_factory=dict)
    stack: ExitStack = field(default_factory=ExitStack)


class DatasetWriter:
    """
    Adds episodes to a new folder; pictures go straight into the videos.

    :param cameras: their names, which become ``observation.images.NAME``.
    :param frame: that actions are displacements in; empty for none.
    """

    def __init__(
        self, root: Path, *, fps: int, joints: Sequence[str], actions: Sequence[str],
        cameras: Sequence[str], frame: str = '',
    ) -> None:  # fmt: skip
        """Start without episodes."""
        self._frame = frame
        self.episodes: list[Written] = []
        self._root = root
        self._fps = fps
        self._names = {'observation.state': list(joints), 'action': list(actions)}
        self._keys = {name: f'observation.images.{name}' for name in cameras}
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._codec = ''
        self._tasks: dict[str, int] = {}
        self._statistics: list[dict[str, Any]] = []
        self._episode: _Episode | None = None

    def __enter__(self) -> DatasetWriter:
        """Return the writer."""
        return self

    def __exit__(self, *error: Any) -> None:
        """Close videos that an error left open; the folder is the caller's to remove."""
        if self._episode is not None:
            self._episode.stack.__exit__(*error)

    def add(
        self, instruction: str, state: FloatArray, action: FloatArray,
        images: Mapping[str, Picture],
    ) -> None:  # fmt: skip
        """
        Add a frame to the episode in progress, or begin one with it.

        :raises ParameterError: for a picture of another size than those before.
        """
        episode = self._episode or self._begin(instruction)
        for name, rgb in images.items():
            self._check(name, rgb)
            episode.videos[name].add(rgb)
            episode.moments[name].add(rgb)
        episode.states.append(np.array(state, np.float32))
        episode.actions.append(np.array(action, np.float32))

    def end(self) -> Written | None:
        """End the episode in progress; None when it was too short to keep, or there is none."""
        episode, self._episode = self._episode, None
        if episode is None:
            return None
        episode.stack.close()
        if len(episode.states) < LEAST_FRAMES:
            for video in episode.videos.values():
                video.path.unlink()
            return None
        written = Written(len(self.episodes), len(episode.states), episode.instruction)
        self._write(episode, written)
        self.episodes.append(written)
        return written

    def finish(self) -> None:
        """Write ``meta`` once every episode is there."""
        meta = self._root / 'meta'
        meta.mkdir(parents=True, exist_ok=True)
        videos = {key: _even(self._shapes[name]) for name, key in self._keys.items()}
        info = {
            **totals(len(self.episodes), self._frames, len(self._tasks), len(videos)),
            'fps': self._fps,
            'splits': {'train': f'0:{len(self.episodes)}'},
            'data_path': DATA_PATH,
            'video_path': VIDEO_PATH,
            'features': features(self._names, videos, self._fps, self._codec),
        }
        if self._frame:
            info['features']['action']['info'] = {'frame': self._frame}
        (meta / 'info.json').write_text(json.dumps(info, indent=4) + '\n', encoding='utf-8')
        episodes = [
            {'episode_index': each.index, 'tasks': [each.instruction], 'length': each.frames}
            for each in self.episodes
        ]
        tasks = [{'task_index': index, 'task': task} for task, index in self._tasks.items()]
        for name, rows in (
            ('episodes', episodes), ('tasks', tasks), ('episodes_stats', self._statistics),
        ):  # fmt: skip
            lines = ''.join(json.dumps(row, ensure_ascii=False) + '\n' for row in rows)
            (meta / f'{name}.jsonl').write_text(lines, encoding='utf-8')

    @property
    def _frames(self) -> int:
        return sum(each.frames for each in self.episodes)

    def _begin(self, instruction: str) -> _Episode:
        self._episode = episode = _Episode(instruction)
        for name in self._keys:
            episode.moments[name] = ImageMoments()
        return episode

    def _check(self, name: str, rgb: Picture) -> None:
        assert self._episode is not None
        shape = self._shapes.setdefault(name, rgb.shape)
        if rgb.shape != shape:
            raise ParameterError(
                f"camera '{name}' gives {rgb.shape[1]}x{rgb.shape[0]} pixels, and gave "
                f'{shape[1]}x{shape[0]} before; a data set has pictures of one size'
            )
        if name not in self._episode.videos:
            path = self._path(VIDEO_PATH, len(self.episodes), self._keys[name])
            height, width = _even(shape)
            video = EpisodeRecorder(path, self._fps, (width, height))
            self._codec = video.codec
            self._episode.videos[name] = self._episode.stack.enter_context(video)

    def _write(self, episode: _Episode, written: Written) -> None:
        columns = self._columns(episode, written)
        table = pa.table(
            {name: _arrow(values) for name, values in columns.items()},
            metadata=arrow_metadata(self._names),
        )
        path = self._path(DATA_PATH, written.index)
        path.parent.mkdir(parents=True, exist_ok=True)
        parquet.write_table(table, path)
        rows = {name: values.reshape(len(values), -1) for name, values in columns.items()}
        statistics = {name: column_statistics(values) for name, values in rows.items()}
        pictures = {self._keys[name]: each.statistics() for name, each in episode.moments.items()}
        self._statistics.append(
            {'episode_index': written.index, 'stats': {**statistics, **pictures}}
        )

    def _columns(self, episode: _Episode, written: Written) -> dict[str, NDArray[Any]]:
        rows = np.arange(written.frames, dtype=np.int64)
        first = self._frames
        task = self._tasks.setdefault(episode.instruction, len(self._tasks))
        return {
            'observation.state': np.stack(episode.states),
            'action': np.stack(episode.actions),
            'timestamp': (rows / self._fps).astype(np.float32),
            'frame_index': rows,
            'episode_index': np.full_like(rows, written.index),
            'index': first + rows,
            'task_index': np.full_like(rows, task),
        }

    def _path(self, template: str, index: int, key: str = '') -> Path:
        return self._root / template.format(
            episode_chunk=index // CHUNK, episode_index=index, video_key=key
        )


def _even(shape: Sequence[int]) -> tuple[int, int]:
    """Return height and width as videos have them."""
    return max(shape[0] // 2 * 2, 2), max(shape[1] // 2 * 2, 2)


def _arrow(values: NDArray[Any]) -> Any:
    if values.ndim == 1:
        return pa.array(values)
    return pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), values.shape[1])


__all__ = ['DatasetWriter', 'Written']
