"""DAgger: the learner drives, the expert labels the states it gets into (Ross et al. 2011)."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from rich.progress import Progress

from sara_ros.core import Observation, ParameterError, Policy, PolicySpec
from sara_ros.policies import checkpoint as checkpoints
from sara_ros.policies.loading import load_policy
from sara_ros.sim.cameras import CameraRig
from sara_ros.sim.policy_sensors import check_fit
from sara_ros.sim.scene import scene_for
from sara_ros.sim.tasks import TASKS
from sara_ros.sim.variations import check_variations
from sara_ros.sim.world import TabletopWorld
from sara_ros.training.capture import Capture, capture
from sara_ros.training.counts import check_counts
from sara_ros.training.frames import save_shard
from sara_ros.training.scenes import DAGGER_END, DAGGER_SEEDS, draw_task
from sara_ros.training.shards import ShardPlan, fill_shards
from sara_ros.training.varied import training_conditions, variation_settings

SEEDS_OF_A_SHARD: Final = 10_000
SHARDS_OF_A_ROUND: Final = 1000
SEEDS_OF_A_ROUND: Final = SHARDS_OF_A_ROUND * SEEDS_OF_A_SHARD


@dataclass(frozen=True, slots=True)
class DaggerConfig:
    """
    One round.

    :param models_dir: where the learner is saved as ``model_id``.
    :param seed: number of the round; each has seeds of its own.
    :param steps: longest episode.
    :param kept: share of visited states that become frames.
    :param delay: steps between an observation and the action that answers it.
    :param verbs: tasks the learner tries; all when empty.
    :param variations: names in ``variations.VARIATIONS`` that episodes may have.
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
    verbs: tuple[str, ...] = ()
    variations: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check the variations and counts, and that the seeds are nobody else's."""
        check_variations(self.variations)
        check_counts(self, 'frames', 'processes', 'shard')
        rounds = (DAGGER_END - DAGGER_SEEDS) // SEEDS_OF_A_ROUND
        if not 0 <= self.seed < rounds:
            raise ParameterError(f'seed is {self.seed}; rounds have 0 to {rounds - 1}')
        # An episode gives several frames, so a shard never needs as many seeds as it has frames.
        if self.shard > SEEDS_OF_A_SHARD or self.shards > SHARDS_OF_A_ROUND:
            raise ParameterError(
                f'frames is {self.frames} in shards of {self.shard}; a round has seeds for '
                f'{SHARDS_OF_A_ROUND} shards of at most {SEEDS_OF_A_SHARD}, change either'
            )

    @property
    def settings(self) -> dict[str, Any]:
        """What the frames depend on besides the learner's weights."""
        return {
            'model_id': self.model_id,
            'seed': self.seed,
            'shard': self.shard,
            'capture': asdict(self.capture),
            'steps': self.steps,
            'kept': self.kept,
            'delay': self.delay,
            'verbs': self.verbs,
            **variation_settings(self.variations),
        }

    @property
    def seeds(self) -> tuple[int, int]:
        """First and last seed that an episode may have."""
        return self.first_seed(0), self.first_seed(self.shards) - 1

    @property
    def shards(self) -> int:
        """Number of shards."""
        return -(-self.frames // self.shard)

    def first_seed(self, index: int) -> int:
        """Return the first seed of shard ``index``."""
        return DAGGER_SEEDS + self.seed * SEEDS_OF_A_ROUND + index * SEEDS_OF_A_SHARD


def collect_dagger(config: DaggerConfig, progress: Progress | None = None) -> int:
    """
    Collect the shards of the round that are missing; returns the number of frames.

    :raises CheckpointError: when the learner cannot be read.
    :raises ParameterError: for a learner that needs what the tabletop or ``capture`` does not
        have, for a folder of another round, and for a disk that is full.
    """
    stored = checkpoints.read(config.models_dir, config.model_id)
    check_fit(stored.checkpoint.spec)
    _check_capture(stored.checkpoint.spec, config.capture)
    plan = ShardPlan(
        'collect DAgger frames', config.folder, config.frames, config.shard, config.processes,
        {**config.settings, 'sha256': stored.weights['sha256']},
    )  # fmt: skip
    return fill_shards(plan, partial(dagger_shard, config), progress)


def dagger_shard(config: DaggerConfig, index: int) -> Path:
    """Collect one shard in this process."""
    policy = load_policy(config.models_dir, config.model_id)
    world = TabletopWorld(scene_for(config.variations))
    rows: list[dict[str, Any]] = []
    seed = config.first_seed(index)
    with CameraRig(world.model) as rig:
        while len(rows) < config.shard:
            rows += _episode(config, policy, world, rig, seed)
            seed += 1
    return save_shard(config.folder, index, rows[: config.shard])


def _episode(
    config: DaggerConfig, policy: Policy, world: TabletopWorld, rig: CameraRig, seed: int
) -> list[dict[str, Any]]:
    rng = np.random.default_rng([seed, 2])
    index = draw_task(rng, config.verbs)
    task = TASKS[index]
    conditions = training_conditions(config.variations, seed, task, world.reset(seed, task))
    world.dress(conditions)
    policy.reset()
    rows, done = [], 0
    delay = config.delay if conditions.delay_steps is None else conditions.delay_steps
    pending = [np.array([0, 0, 0, 0, 0, 0, 0, 1], np.float32)] * delay
    for _ in range(int(rng.integers(config.steps // 3, config.steps))):
        row = capture(
            world, rig, index, config.capture, conditions, episode=seed, expert_drives=False
        )
        if rng.random() < config.kept or config.capture.dense:
            rows.append(row)
        chunk = policy.act(observation_of(row, conditions.wording or task.instruction)).values
        # Of a chunk, the queue skips the steps that went out while it was computed.
        action = chunk[min(max(0, delay - 1), len(chunk) - 1)]
        done += int(action[0] > 0.5) + int(row['labels'][index, 0] > 0.5)
        if done > 3:
            break
        pending.append(action)
        world.step(pending.pop(0))
    return rows


def _check_capture(spec: PolicySpec, wanted: Capture) -> None:
    for need in spec.observations:
        drawn = {'image': wanted.images, 'points': wanted.points is not None}
        if not drawn.get(need.kind, True):
            raise ParameterError(
                f"model '{spec.model_id}' needs '{need.name}' ({need.kind}), which these frames "
                'do not hold; collect them for a recipe of its kind'
            )


def observation_of(row: dict[str, Any], instruction: str) -> Observation:
    """Return what a policy sees of a captured row."""
    values: dict[str, Any] = {name: row[name] for name in ('front', 'wrist') if name in row}
    if 'points' in row:
        values['points'] = row['points'].astype(np.float32)
    state = row['state']
    return Observation.of(instruction, ee_pose=state[:7], finger_joint=state[7:], **values)
