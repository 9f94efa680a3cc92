"""Training frames as named arrays, in shards on disk that appear only when complete."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sara_ros.core import ParameterError

Frames = dict[str, NDArray[Any]]
"""Arrays by name, all with one row a frame."""


def save_shard(folder: Path, index: int, rows: Sequence[Mapping[str, Any]]) -> Path:
    """Stack ``rows`` and write shard ``index`` below ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f'frames-{index:05d}.npz'
    temporary = path.with_suffix('.part')
    arrays: dict[str, Any] = {name: np.stack([row[name] for row in rows]) for name in rows[0]}
    with temporary.open('wb') as file:
        np.savez(file, **arrays)
    os.replace(temporary, path)
    return path


def has_shard(folder: Path, index: int) -> bool:
    """Tell whether shard ``index`` is complete."""
    return (folder / f'frames-{index:05d}.npz').exists()


def load_frames(folder: Path, limit: int = 0) -> Frames:
    """
    Read the shards below ``folder`` into memory, in order.

    :param limit: most frames to return; 0 for all.
    :raises ParameterError: when there is none.
    """
    paths = sorted(folder.glob('frames-*.npz'))
    if not paths:
        raise ParameterError(f'no training frames in {folder}; collect some first')
    parts, count = [], 0
    for path in paths:
        parts.append(np.load(path, allow_pickle=False))
        count += len(parts[-1]['task'])
        if limit and count >= limit:
            break
    stop = limit or None
    return {name: np.concatenate([part[name] for part in parts])[:stop] for name in parts[0].files}


def join(first: Frames, second: Frames) -> Frames:
    """Return the rows of both."""
    return {name: np.concatenate([first[name], second[name]]) for name in first}
