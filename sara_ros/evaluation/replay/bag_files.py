"""Which files a bag consists of."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Any, Final

import yaml

from sara_ros.core.errors import describe
from sara_ros.evaluation.replay.messages import BagError

SUFFIXES: Final = ('.mcap', '.db3', '.bag')
METADATA: Final = 'metadata.yaml'
MENDING: Final = {
    '.bag': "; a bag that was cut off can be mended with 'rosbag reindex'",
    '.db3': "; a database that was cut off can be mended with sqlite3's .recover",
}


def files_of(path: Path) -> tuple[list[Path], list[str]]:
    """
    Return what to open, and what is wrong with the bag as a whole.

    The files say themselves what is in them. ``metadata.yaml`` says which of them belong to the
    bag, and whether they are compressed: then the folder itself is opened.

    :raises BagError: when there is no bag, or it cannot be seen.
    """
    try:
        return _found(path)
    except OSError as err:
        raise BagError(f'{path} cannot be looked into: {err}') from err


def _found(path: Path) -> tuple[list[Path], list[str]]:
    if not path.exists():
        raise BagError(f'{path} does not exist')
    if path.is_file():
        if path.suffix not in SUFFIXES:
            raise BagError(f'{path.name} is not a bag; known: {", ".join(SUFFIXES)} and folders')
        return [path], _left_behind([path])
    if not path.is_dir():
        raise BagError(f'{path} is not a bag: neither a file nor a folder')
    if not (path / METADATA).exists():
        files = storage_files(path)
        return files, _left_behind(files)
    try:
        described = _described(path / METADATA)
        listed = [PurePath(each).name for each in described['relative_file_paths']]
    except Exception as err:  # whatever a parser makes of a broken file
        return storage_files(path), [f'{METADATA} is not used: {describe(err)}']
    if str(described.get('compression_mode') or 'none').lower() != 'none':
        return [path], []
    return _chosen(path, listed)


def storage_files(path: Path) -> list[Path]:
    """
    Return every bag file of a folder, by name.

    :raises BagError: when there is none.
    """
    files = sorted(each for each in path.iterdir() if each.suffix in SUFFIXES and each.is_file())
    if not files:
        raise BagError(f'{path} holds no bag: neither {METADATA} nor {", ".join(SUFFIXES)} files')
    return files


def _chosen(path: Path, listed: list[str]) -> tuple[list[Path], list[str]]:
    there = storage_files(path)
    chosen = [each for each in there if each.name in listed] or there
    notes = [
        f'{METADATA} lists {name}, which is not there'
        for name in listed
        if not (path / name).exists()
    ]
    notes += [
        f'{each.name} is not read: {METADATA} does not list it'
        for each in there
        if each not in chosen
    ]
    if not set(listed) & {each.name for each in chosen}:
        notes.append(f'{METADATA} lists none of the files that are there, and is not used')
    return chosen, notes + _left_behind(chosen)


def _described(path: Path) -> Mapping[str, Any]:
    described = yaml.safe_load(path.read_text(encoding='utf-8'))['rosbag2_bagfile_information']
    return dict(described)


def _left_behind(files: list[Path]) -> list[str]:
    """Name what SQLite keeps beside a file until somebody opens it for writing."""
    return [
        f'{each.name}-wal is not read: the recorder was killed before it ended {each.name}; '
        f"'sqlite3 {each.name} vacuum' puts both together"
        for each in files
        if each.suffix == '.db3' and _size(each.with_name(f'{each.name}-wal'))
    ]


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0
