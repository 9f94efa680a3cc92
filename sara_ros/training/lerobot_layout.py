"""Where LeRobot folders keep their episodes: a file each (v2.1), or many in a file (v3.0)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any, Final, Protocol

import pyarrow as pa
import pyarrow.parquet as parquet

from sara_ros.core import ParameterError
from sara_ros.core.json_fields import Fields
from sara_ros.training.lerobot_info import Info, read_lines

EPISODES: Final = 'meta/episodes'
_TASK_COLUMNS: Final = ('task', '__index_level_0__')


@dataclass(frozen=True, slots=True)
class VideoPart:
    """
    The frames of one episode in a video file.

    :param frames: how many there are; None: all of the file.
    """

    path: Path
    start_sec: float = 0.0
    frames: int | None = None


class Layout(Protocol):
    """Finds episodes below a folder; ``tasks_path`` is the file with their instructions."""

    tasks_path: Path

    def described(self) -> list[int]:
        """Return the episodes that ``meta`` describes."""
        ...

    def data_path(self, index: int) -> Path:
        """Return the parquet file of an episode."""
        ...

    def table(self, index: int) -> Any:
        """
        Return the rows of an episode as an Arrow table.

        :raises ParameterError: when they cannot be read.
        """
        ...

    def video(self, index: int, camera: str) -> VideoPart:
        """Return where the frames of an episode are."""
        ...

    def tasks(self) -> dict[int, str]:
        """
        Return the instructions by task index; none without ``tasks_path``.

        :raises ParameterError: when the file cannot be read.
        :raises SpecError: naming what is missing or of another type in it.
        """
        ...


class FileEach:
    """v2.1: every episode has its own parquet file and videos."""

    def __init__(self, root: Path, info: Info) -> None:
        """
        Read where the files are.

        :raises SpecError: when ``info`` does not say it.
        :raises ParameterError: when a chunk of it holds no episode.
        """
        self._paths = _Paths(root, info)
        self._episodes = info.fields.integer('total_episodes')
        self._chunk = info.fields.integer('chunks_size')
        if self._chunk < 1:
            raise ParameterError(
                f"{info.path}: 'chunks_size' is {self._chunk}; state the episodes of a folder"
            )
        self.tasks_path = root / 'meta' / 'tasks.jsonl'

    def described(self) -> list[int]:
        """Return the episodes that ``meta`` describes."""
        return list(range(self._episodes))

    def data_path(self, index: int) -> Path:
        """Return the parquet file of an episode."""
        return self._path('data_path', index, '')

    def table(self, index: int) -> Any:
        """Return the rows of an episode."""
        return _read_table(self.data_path(index))

    def video(self, index: int, camera: str) -> VideoPart:
        """Return where the frames of an episode are."""
        return VideoPart(self._path('video_path', index, camera))

    def tasks(self) -> dict[int, str]:
        """Return the instructions by task index."""
        return _tasks(read_lines(self.tasks_path)) if self.tasks_path.exists() else {}

    def _path(self, kind: str, index: int, camera: str) -> Path:
        return self._paths.path(
            kind, episode_chunk=index // self._chunk, episode_index=index, video_key=camera
        )


class SharedFiles:
    """v3.0: files hold several episodes, and ``meta/episodes`` says which part is whose."""

    def __init__(self, root: Path, info: Info) -> None:
        """
        Read which episodes there are.

        :raises SpecError: when ``info`` does not say where the files are.
        :raises ParameterError: when ``meta/episodes`` is missing or lacks a column.
        """
        self._root = root
        self._paths = _Paths(root, info)
        self.tasks_path = root / 'meta' / 'tasks.parquet'
        paths = sorted((root / EPISODES).rglob('*.parquet'))
        if not paths:
            raise ParameterError(f'{root / EPISODES} holds no parquet file')
        self._rows: dict[int, dict[str, Any]] = {}
        for path in paths:
            table = _read_table(path)
            # Statistics of every feature stand beside what is needed here.
            kept = [name for name in table.column_names if not name.startswith('stats/')]
            for row in table.select(kept).to_pylist():
                self._rows[_whole(row, 'episode_index', path)] = row

    def described(self) -> list[int]:
        """Return the episodes that ``meta`` describes."""
        return sorted(self._rows)

    def data_path(self, index: int) -> Path:
        """Return the parquet file of an episode."""
        return self._path('data_path', index, 'data', '')

    def table(self, index: int) -> Any:
        """Return the rows of an episode."""
        path = self.data_path(index)
        table = _read_table(path, filters=[('episode_index', '=', index)])
        expected = _whole(self._rows[index], 'length', self._root / EPISODES)
        if table.num_rows != expected:
            raise ParameterError(
                f'{path}: episode {index} has {table.num_rows} rows, meta states {expected}'
            )
        return table

    def video(self, index: int, camera: str) -> VideoPart:
        """Return where the frames of an episode are."""
        row, place = self._rows[index], self._root / EPISODES
        start_sec = _number(row, f'videos/{camera}/from_timestamp', place)
        path = self._path('video_path', index, f'videos/{camera}', camera)
        return VideoPart(path, start_sec, _whole(row, 'length', place))

    def tasks(self) -> dict[int, str]:
        """Return the instructions by task index."""
        path = self.tasks_path
        if not path.exists():
            return {}
        table = _read_table(path)
        # The instruction is the index of a data frame, which has had two names.
        name = next((each for each in _TASK_COLUMNS if each in table.column_names), '')
        if not name or 'task_index' not in table.column_names:
            raise ParameterError(
                f'{path}: expected task_index and task, found {table.schema.names}'
            )
        rows = enumerate(table.select(['task_index', name]).to_pylist())
        return _tasks((Fields(row, f'{path}, row {number}') for number, row in rows), name)

    def _path(self, kind: str, index: int, part: str, camera: str) -> Path:
        row, place = self._rows[index], self._root / EPISODES
        return self._paths.path(
            kind,
            video_key=camera,
            chunk_index=_whole(row, f'{part}/chunk_index', place),
            file_index=_whole(row, f'{part}/file_index', place),
        )


LAYOUTS: Final[Mapping[str, Callable[[Path, Info], Layout]]] = {
    'v2.1': FileEach,
    'v3.0': SharedFiles,
}


class _Paths:
    """The patterns of ``meta/info.json`` that say where the files are."""

    def __init__(self, root: Path, info: Info) -> None:
        self._root, self._place = root, info.path
        self._patterns = {kind: info.fields.text(kind) for kind in ('data_path', 'video_path')}

    def path(self, kind: str, **parts: int | str) -> Path:
        try:
            return self._root / self._patterns[kind].format(**parts)
        except (LookupError, ValueError, AttributeError) as err:
            raise ParameterError(
                f"{self._place}: '{kind}' is '{self._patterns[kind]:.80}', which cannot be filled "
                f'in; write it with {", ".join(parts)} in braces'
            ) from err


def _read_table(path: Path, **options: Any) -> Any:
    try:
        return parquet.read_table(path, **options)
    except (OSError, pa.ArrowException) as err:
        problem = str(err).partition('\n')[0]  # a schema may follow
        raise ParameterError(f'{path} cannot be read: {problem}; restore the file') from err


def _tasks(rows: Iterable[Fields], name: str = 'task') -> dict[int, str]:
    return {row.integer('task_index'): row.text(name) for row in rows}


def _whole(row: Mapping[str, Any], name: str, place: Path) -> int:
    return int(_number(row, name, place))


def _number(row: Mapping[str, Any], name: str, place: Path) -> float:
    value = row.get(name)
    if value is None:
        raise ParameterError(f"{place}: column '{name}' is missing or empty")
    if not isinstance(value, int | float) or not isfinite(value):
        raise ParameterError(f"{place}: column '{name}' holds {value!r:.80}; write numbers there")
    return value
