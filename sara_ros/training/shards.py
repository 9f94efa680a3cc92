"""Fills a folder with shards of frames by several processes, and knows whose folder it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
import json
import multiprocessing
from pathlib import Path
from typing import Any, Final

from rich.progress import Progress

from sara_ros.core import ParameterError
from sara_ros.policies.threads import limit_threads, one_thread
from sara_ros.training.counts import check_counts
from sara_ros.training.disk import writing
from sara_ros.training.frames import has_shard
from sara_ros.training.progress import running

SETTINGS_FILE: Final = 'settings.json'


@dataclass(frozen=True, slots=True)
class ShardPlan:
    """
    What a folder is to hold.

    :param frames: rounded up to whole shards.
    :param settings: what the frames depend on, as JSON values.
    """

    title: str
    folder: Path
    frames: int
    shard: int
    processes: int
    settings: Mapping[str, Any]

    def __post_init__(self) -> None:
        """Check the numbers."""
        check_counts(self, 'frames', 'shard', 'processes')

    @property
    def shards(self) -> int:
        """Number of shards."""
        return -(-self.frames // self.shard)


def fill_shards(
    plan: ShardPlan, make: Callable[[int], Path], progress: Progress | None = None
) -> int:
    """
    Have ``make`` write the shards that are missing; returns the number of frames there are then.

    :param make: writes shard ``index``; with several processes it is called in those.
    :raises ParameterError: for a folder that is a file or holds other frames, and when a shard
        cannot be written, as on a full disk; those that are there are used again.
    """
    claim_folder(plan.folder, plan.settings)
    missing = [index for index in range(plan.shards) if not has_shard(plan.folder, index)]
    if not missing:
        return plan.shards * plan.shard
    with running(progress) as bar:
        task = bar.add_task(plan.title, total=plan.shards, completed=plan.shards - len(missing))
        for _ in _made(missing, make, plan.processes):
            bar.advance(task)
    return plan.shards * plan.shard


def _made(indices: Sequence[int], make: Callable[[int], Path], processes: int) -> Iterator[Path]:
    """Yield the shards as they are made; one process needs no other."""
    if processes == 1:
        with one_thread():
            yield from map(make, indices)
        return
    context = multiprocessing.get_context('spawn')
    pool = ProcessPoolExecutor(processes, context, limit_threads, (1,))
    try:
        for job in as_completed([pool.submit(make, index) for index in indices]):
            yield job.result()
    finally:
        pool.shutdown(cancel_futures=True)


def claim_folder(folder: Path, settings: Mapping[str, Any]) -> None:
    """
    Make ``folder`` that of frames with ``settings``.

    A folder that does not say what it holds is taken to hold these.

    :raises ParameterError: when it is a file, holds frames of other settings, or cannot be
        written to.
    """
    stated = dict(_flat(json.loads(json.dumps(settings, default=str))))
    path = folder / SETTINGS_FILE
    if folder.exists() and not folder.is_dir():
        raise ParameterError(f'{folder} is a file; give a folder for the frames')
    if not path.exists():
        with writing(path) as temporary:
            temporary.write_text(json.dumps(stated, indent=1) + '\n', encoding='utf-8')
        return
    try:
        # Folders of before there were variations have none.
        found = {'variations': [], **json.loads(path.read_text(encoding='utf-8'))}
    except (OSError, ValueError) as err:
        raise ParameterError(f'{path} cannot be read: {err}; remove it or the folder') from err
    other = [name for name in stated if name in found and found[name] != stated[name]]
    if other:
        said = '; '.join(f'{name} {found[name]!r}, not {stated[name]!r}' for name in other)
        raise ParameterError(
            f'{folder} holds frames of another collection: {said:.400}. Give another folder, or '
            'the same settings to go on'
        )


def _flat(settings: Mapping[str, Any], place: str = '') -> Iterator[tuple[str, Any]]:
    """Yield the values by dotted names, so that a setting that came later stands by itself."""
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f'{place}{name}.')
        else:
            yield f'{place}{name}', value
