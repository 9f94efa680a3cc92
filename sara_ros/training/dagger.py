"""DAgger: the learner drives, the expert labels the states it gets into (Ross et al. 2011)."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
import multiprocessing
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import Progress
import torch

from sara_ros.core import Observation, Policy
from sara_ros.policies.loading import load_policy
from sara_ros.sim.cameras import CameraRig
from sara_ros.sim.tasks import TASKS
from sara_ros.sim.world import TabletopWorld
from sara_ros.training.capture import Capture, capture
from sara_ros.training.frames import has_shard, save_shard
from sara_ros.training.progress import running
from sara_ros.training.scenes import DAGGER_SEEDS, draw_task


@dataclass(frozen=True, slots=True)
class DaggerConfig:
    """
    One round.

    :param models_dir: where the learner is saved as ``model_id``.
    :param steps: longest episode.
    :param kept: share of visited states that become frames.
    :param delay: steps between an observation and the action that answers it.
    """

    folder: Path
    models_dir: Path
    model_id: str
    frames: int
    capture: Capture
    processes: int = 2
    shard: int = 500
    seed: int = 0
    steps: int = 90
    kept: float = 0.5
    delay: int = 1


def collect_dagger(config: DaggerConfig, progress: Progress | None = None) -> int:
    """Collect the shards of the round that are missing; returns the number of frames."""
    shards = -(-config.frames // config.shard)
    missing = [index for index in range(shards) if not has_shard(config.folder, index)]
    with (
        running(progress) as bar,
        ProcessPoolExecutor(config.processes, multiprocessing.get_context('spawn')) as pool,
    ):
        task = bar.add_task('collect DAgger frames', total=shards, completed=shards - len(missing))
        jobs = [pool.submit(dagger_shard, config, index) for index in missing]
        for job in as_completed(jobs):
            job.result()
            bar.advance(task)
    return shards * config.shard


def dagger_shard(config: DaggerConfig, index: int) -> Path:
    """Collect one shard in this process."""
    torch.set_num_threads(1)
    policy = load_policy(config.models_dir, config.model_id)
    world = TabletopWorld()
    rows: list[dict[str, Any]] = []
    seed = DAGGER_SEEDS + (config.seed * 1000 + index) * 10_000
    with CameraRig(world.model) as rig:
        while len(rows) < config.shard:
            rows += _episode(config, policy, world, rig, seed)
            seed += 1
    return save_shard(config.folder, index, rows[: config.shard])


def _episode(
    config: DaggerConfig, policy: Policy, world: TabletopWorld, rig: CameraRig, seed: int
) -> list[dict[str, Any]]:
    rng = np.random.default_rng([seed, 2])
    index = draw_task(rng)
    world.reset(seed, TASKS[index])
    policy.reset()
    rows, done = [], 0
    pending = [np.array([0, 0, 0, 0, 0, 0, 0, 1], np.float32)] * config.delay
    for _ in range(int(rng.integers(config.steps // 3, config.steps))):
        row = capture(world, rig, index, config.capture)
        if rng.random() < config.kept:
            rows.append(row)
        action = policy.act(observation_of(row, TASKS[index].instruction)).values[0]
        done += int(action[0] > 0.5) + int(row['labels'][index, 0] > 0.5)
        if done > 3:
            break
        pending.append(action)
        world.step(pending.pop(0))
    return rows


def observation_of(row: dict[str, Any], instruction: str) -> Observation:
    """Return what a policy sees of a captured row."""
    values: dict[str, Any] = {name: row[name] for name in ('front', 'wrist') if name in row}
    if 'points' in row:
        values['points'] = row['points'].astype(np.float32)
    state = row['state']
    return Observation.of(instruction, ee_pose=state[:7], finger_joint=state[7:], **values)
