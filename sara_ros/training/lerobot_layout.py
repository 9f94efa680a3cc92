"""Where LeRobot folders keep their episodes: a file each (v2.1), or many in a file (v3.0)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
import json
from pathlib import Path
from typing import Any, Final, Protocol

import pyarrow as pa
import pyarrow.parquet as parquet

from sara_ros.core import ParameterError

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
    """Finds episodes below a folder."""

    def described(self) -> list[int]:
        """Return the episodes that ``meta`` describes."""
        ...

    def data_path(self, index: int) -> Path:
        """Return the parquet file of an episode."""
        ...

    def table(self, index: int) -> Any:
        """Return the rows of an episode as an Arrow table."""
        ...

    def video(self, index: int, camera: str) -> VideoPart:
        """Return where the frames of an episode are."""
        ...

    def tasks(self) -> dict[int, str]:
        """Return the instructions by task index."""
        ...


class FileEach:
    """v2.1: every episode has its own parquet file and videos."""

    def __init__(self, root: Path, info: Mapping[str, Any]) -> None:
        """Read ``info``, the content of ``meta/info.json``."""
        self._root = root
        self._info = info

    def described(self) -> list[int]:
        """Return the episodes that ``meta`` describes."""
        return list(range(int(self._info['total_episodes'])))

    def data_path(self, index: int) -> Path:
        """Return the parquet file of an episode."""
        return self._path('data_path', index, '')

    def table(self, index: int) -> Any:
        """Return the rows of an episode."""
        return parquet.read_table(self.data_path(index))

    def video(self, index: int, camera: str) -> VideoPart:
        """Return where the frames of an episode are."""
        return VideoPart(self._path('video_path', index, camera))

    def tasks(self) -> dict[int, str]:
        """Return the instructions by task index."""
        path = self._root / 'meta' / 'tasks.jsonl'
        if not path.exists():
            return {}
        rows = [json.loads(line) for line in path.read_text(encoding='utf-8').splitlines() if line]
        return {int(row['task_index']): str(row['task']) for row in rows}

    def _path(self, kind: str, index: int, camera: str) -> Path:
        chunk = index // int(self._info['chunks_size'])
        return self._root / str(self._info[kind]).format(
            episode_chunk=chunk, episode_index=index, video_key=camera
        )


class SharedFiles:
    """v3.0: files hold several episodes, and ``meta/episodes`` says which part is whose."""

    def __init__(self, root: Path, info: Mapping[str, Any]) -> None:
        """
        Read which episodes there are.

        :raises ParameterError: when ``meta/episodes`` is missing or lacks a column.
        """
        self._root = root
        self._info = info
        paths = sorted((root / EPISODES).rglob('*.parquet'))
        if not paths:
            raise ParameterError(f'{root / EPISODES} holds no parquet file')
        self._rows: dict[int, dict[str, Any]] = {}
        for path in paths:
            table = parquet.read_table(path)
            # Statistics of every feature stand beside what is needed here.
            kept = [name for name in table.column_names if not name.startswith('stats/')]
            for row in table.select(kept).to_pylist():
                self._rows[int(_cell(row, 'episode_index', path))] = row

    def described(self) -> list[int]:
        """Return the episodes that ``meta`` describes."""
        return sorted(self._rows)

    def data_path(self, index: int) -> Path:
        """Return the parquet file of an episode."""
        return self._path('data_path', index, 'data', '')

    def table(self, index: int) -> Any:
        """Return the rows of an episode."""
        path = self.data_path(index)
        table = parquet.read_table(path, filters=[('episode_index', '=', index)])
        expected = int(_cell(self._rows[index], 'length', self._root / EPISODES))
        if table.num_rows != expected:
            raise ParameterError(
                f'{path}: episode {index} has {table.num_rows} rows, meta states {expected}'
            )
        return table

    def video(self, index: int, camera: str) -> VideoPart:
        """Return where the frames of an episode are."""
        row, place = self._rows[index], self._root / EPISODES
        start_sec = float(_cell(row, f'videos/{camera}/from_timestamp', place))
        path = self._path('video_path', index, f'videos/{camera}', camera)
        return VideoPart(path, start_sec, int(_cell(row, 'length', place)))

    def tasks(self) -> dict[int, str]:
        """Return the instructions by task index."""
        path = self._root / 'meta' / 'tasks.parquet'
        if not path.exists():
            return {}
        table: pa.Table = parquet.read_table(path)
        # The instruction is the index of a data frame, which has had two names.
        name = next((each for each in _TASK_COLUMNS if each in table.column_names), '')
        if not name or 'task_index' not in table.column_names:
            raise ParameterError(
                f'{path}: expected task_index and task, found {table.schema.names}'
            )
        pairs = zip(table['task_index'].to_pylist(), table[name].to_pylist(), strict=True)
        return {int(index): str(task) for index, task in pairs}

    def _path(self, kind: str, index: int, part: str, camera: str) -> Path:
        row, place = self._rows[index], self._root / EPISODES
        return self._root / str(self._info[kind]).format(
            video_key=camera,
            chunk_index=int(_cell(row, f'{part}/chunk_index', place)),
            file_index=int(_cell(row, f'{part}/file_index', place)),
        )


LAYOUTS: Final[Mapping[str, Callable[[Path, Mapping[str, Any]], Layout]]] = {
    'v2.1': FileEach,
    'v3.0': SharedFiles,
}


def _cell(row: Mapping[str, Any], name: str, place: Path) -> Any:
    if row.get(name) is None:
        raise ParameterError(f"{place}: column '{name}' is missing or empty")
    return row[name]
