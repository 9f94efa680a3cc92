"""Training frames as named arrays, in shards on disk that appear only when complete."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final
import zipfile
import zlib

import numpy as np
from numpy.typing import NDArray

from sara_ros.core import ParameterError
from sara_ros.training.disk import writing

Frames = dict[str, NDArray[Any]]
"""Arrays by name, all with one row a frame."""

AGAIN: Final = 'remove the file to collect it again'


def save_shard(folder: Path, index: int, rows: Sequence[Mapping[str, Any]]) -> Path:
    """
    Stack ``rows`` and write shard ``index`` below ``folder``.

    :raises ParameterError: when it cannot be written.
    """
    path = folder / f'frames-{index:05d}.npz'
    arrays: dict[str, Any] = {name: np.stack([row[name] for row in rows]) for name in rows[0]}
    with writing(path) as temporary, temporary.open('wb') as file:
        np.savez(file, **arrays)
    return path


def has_shard(folder: Path, index: int) -> bool:
    """Tell whether shard ``index`` is complete."""
    return (folder / f'frames-{index:05d}.npz').exists()


def has_frames(folder: Path, frames: int, shard: int) -> bool:
    """Tell whether all shards of ``frames`` frames are complete."""
    return all(has_shard(folder, index) for index in range(-(-frames // shard)))


def load_frames(folder: Path, limit: int = 0) -> Frames:
    """
    Read the shards below ``folder`` into memory, in order.

    :param limit: most frames to return; 0 for all.
    :raises ParameterError: when there is none, and for shards that are broken or not finite.
    """
    paths = sorted(folder.glob('frames-*.npz'))
    if not paths:
        raise ParameterError(f'no training frames in {folder}; collect some first')
    parts: list[Frames] = []
    for path in paths:
        parts.append(_load_shard(path))
        if limit and sum(len(part['task']) for part in parts) >= limit:
            break
    stop = limit or None
    # Shards of an earlier version may lack what none of this run's losses needs.
    names = [name for name in parts[0] if all(name in part for part in parts)]
    return {name: np.concatenate([part[name] for part in parts])[:stop] for name in names}


def _load_shard(path: Path) -> Frames:
    try:
        with np.load(path, allow_pickle=False) as file:
            frames = {name: file[name] for name in file.files}
        counts = {name: len(value) for name, value in frames.items()}
    except (OSError, ValueError, TypeError, EOFError, zipfile.BadZipFile, zlib.error) as err:
        raise ParameterError(f'{path} cannot be read: {err}; {AGAIN}') from err
    other = {name: count for name, count in counts.items() if count != counts.get('task')}
    if other or not counts:
        rows = counts.get('task', 0)
        raise ParameterError(f'{path} has {rows} tasks, but {other or "nothing else"}; {AGAIN}')
    for name, value in frames.items():
        if value.dtype.kind == 'f' and not np.isfinite(value).all():
            row = int(np.flatnonzero(~np.isfinite(value.reshape(len(value), -1)).all(axis=1))[0])
            raise ParameterError(f"{path}: '{name}' is not finite in row {row}; {AGAIN}")
    return frames


def join(first: Frames, second: Frames) -> Frames:
    """Return the rows of both."""
    return {name: np.concatenate([first[name], second[name]]) for name in first}
