"""Collect training frames from the simulator with several processes, resumable by shard."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
import multiprocessing
from pathlib import Path
from typing import Any

from rich.progress import Progress

from sara_ros.sim.cameras import CameraRig
from sara_ros.sim.world import TabletopWorld
from sara_ros.training.capture import Capture, capture
from sara_ros.training.frames import has_shard, save_shard
from sara_ros.training.progress import running
from sara_ros.training.scenes import TRAINING_SEEDS, SceneRules, visit


@dataclass(frozen=True, slots=True)
class CollectConfig:
    """
    What to collect and where.

    :param folder: where shards go; those already there are kept.
    :param frames: number of frames, rounded up to whole shards.
    :param seed: added to the seed of every scene.
    :param first_seed: seed of the first scene for ``seed`` 0.
    """

    folder: Path
    frames: int = 40_000
    processes: int = 2
    shard: int = 500
    seed: int = 0
    capture: Capture = field(default_factory=Capture)
    rules: SceneRules = field(default_factory=SceneRules)
    first_seed: int = TRAINING_SEEDS


def collect(config: CollectConfig, progress: Progress | None = None) -> int:
    """
    Collect what is missing; returns the number of frames there are then.

    Shard ``i`` depends on the seed and ``i`` only, so an interrupted run ends with the same data.
    """
    shards = -(-config.frames // config.shard)
    missing = [index for index in range(shards) if not has_shard(config.folder, index)]
    with (
        running(progress) as bar,
        ProcessPoolExecutor(config.processes, multiprocessing.get_context('spawn')) as pool,
    ):
        task = bar.add_task('collect frames', total=shards, completed=shards - len(missing))
        jobs = [pool.submit(collect_shard, config, index) for index in missing]
        for job in as_completed(jobs):
            job.result()
            bar.advance(task)
    return shards * config.shard


def collect_shard(config: CollectConfig, index: int) -> Path:
    """Collect one shard in this process."""
    world = TabletopWorld()
    rows: list[dict[str, Any]] = []
    with CameraRig(world.model) as rig:

        def record(task_index: int) -> None:
            rows.append(capture(world, rig, task_index, config.capture))

        for seed in _seeds(config, index):
            visit(world, seed, record, config.rules)
            if len(rows) >= config.shard:
                break
    return save_shard(config.folder, index, rows[: config.shard])


def _seeds(config: CollectConfig, index: int) -> Iterator[int]:
    # A scene gives a few frames, so a shard never needs as many seeds as it has frames.
    first = config.first_seed + config.seed * 10_000_000 + index * config.shard * 4
    yield from range(first, first + config.shard * 4)
