"""Collect training frames from the simulator with several processes, resumable by shard."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

from rich.progress import Progress

from sara_ros.core import ParameterError
from sara_ros.sim.cameras import CameraRig
from sara_ros.sim.scene import scene_for
from sara_ros.sim.variations import check_variations
from sara_ros.sim.world import TabletopWorld
from sara_ros.training.capture import Capture, capture
from sara_ros.training.counts import check_counts
from sara_ros.training.frames import save_shard
from sara_ros.training.scenes import DAGGER_SEEDS, TRAINING_SEEDS, SceneRules, visit
from sara_ros.training.shards import ShardPlan, fill_shards
from sara_ros.training.varied import variation_settings

SEEDS_OF_A_COLLECTION: Final = 10_000_000
SEEDS_OF_A_FRAME: Final = 4


@dataclass(frozen=True, slots=True)
class CollectConfig:
    """
    What to collect and where.

    :param folder: where shards go; those already there are kept.
    :param frames: number of frames, rounded up to whole shards.
    :param seed: added to the seed of every scene.
    :param variations: names in ``variations.VARIATIONS`` that scenes may have.
    :param first_seed: seed of the first scene for ``seed`` 0.
    """

    folder: Path
    frames: int = 40_000
    processes: int = 2
    shard: int = 500
    seed: int = 0
    capture: Capture = field(default_factory=Capture)
    rules: SceneRules = field(default_factory=SceneRules)
    variations: tuple[str, ...] = ()
    first_seed: int = TRAINING_SEEDS

    def __post_init__(self) -> None:
        """Check the variations and counts, and that the seeds are nobody else's."""
        check_variations(self.variations)
        check_counts(self, 'frames', 'processes', 'shard')
        last = self.first_seed + (self.seed + 1) * SEEDS_OF_A_COLLECTION
        if self.seed < 0 or (self.first_seed == TRAINING_SEEDS and last > DAGGER_SEEDS):
            raise ParameterError(
                f'seed is {self.seed}; collections have 0 to '
                f'{(DAGGER_SEEDS - TRAINING_SEEDS) // SEEDS_OF_A_COLLECTION - 1}'
            )
        held_out = self.first_seed < TRAINING_SEEDS
        room = TRAINING_SEEDS - self.first_seed if held_out else SEEDS_OF_A_COLLECTION
        first, last = self.seeds
        if last - first >= room:
            raise ParameterError(
                f'frames is {self.frames}; the collection has seeds for '
                f'{room // SEEDS_OF_A_FRAME}, take fewer'
            )

    @property
    def settings(self) -> dict[str, Any]:
        """What the frames depend on."""
        return {
            'seed': self.seed,
            'first_seed': self.first_seed,
            'shard': self.shard,
            'capture': asdict(self.capture),
            'rules': asdict(self.rules),
            **variation_settings(self.variations),
        }

    @property
    def seeds(self) -> tuple[int, int]:
        """First and last seed that a scene may have."""
        first = self.first_seed + self.seed * SEEDS_OF_A_COLLECTION
        shards = -(-self.frames // self.shard)
        return first, first + shards * self.shard * SEEDS_OF_A_FRAME - 1


def collect(config: CollectConfig, progress: Progress | None = None) -> int:
    """
    Collect what is missing; returns the number of frames there are then.

    Shard ``i`` depends on the seed and ``i`` only, so an interrupted run ends with the same data.

    :raises ParameterError: for a folder of another collection, and for a disk that is full.
    """
    plan = ShardPlan(
        'collect frames', config.folder, config.frames, config.shard, config.processes,
        config.settings,
    )  # fmt: skip
    return fill_shards(plan, partial(collect_shard, config), progress)


def collect_shard(config: CollectConfig, index: int) -> Path:
    """Collect one shard in this process."""
    world = TabletopWorld(scene_for(config.variations))
    rows: list[dict[str, Any]] = []
    rules = config.rules.unbroken if config.capture.dense else config.rules
    with CameraRig(world.model) as rig:
        for seed in _seeds(config, index):
            for task_index, conditions in visit(world, seed, rules, config.variations):
                row = capture(world, rig, task_index, config.capture, conditions, episode=seed)
                rows.append(row)
            if len(rows) >= config.shard:
                break
    return save_shard(config.folder, index, rows[: config.shard])


def _seeds(config: CollectConfig, index: int) -> Iterator[int]:
    # A scene gives a few frames, so a shard never needs as many seeds as it has frames.
    count = config.shard * SEEDS_OF_A_FRAME
    first = config.first_seed + config.seed * SEEDS_OF_A_COLLECTION + index * count
    yield from range(first, first + count)
