"""States worth learning from: noisy expert runs and gripper poses near what matters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sara_ros.sim.conditions import Conditions
from sara_ros.sim.expert import expert_action
from sara_ros.sim.scene import BLOCK_HALF_M, COLORS, DISC
from sara_ros.sim.state import Float64Array
from sara_ros.sim.tasks import TASKS, Task
from sara_ros.sim.world import TabletopWorld
from sara_ros.training.varied import training_conditions

TRAINING_SEEDS: Final = 10_000_000
"""First seed of collected scenes; evaluation uses those below."""

HELD_OUT_SEEDS: Final = 5_000_000
"""First seed of frames that measure action errors: neither trained on nor played closed loop."""

DAGGER_SEEDS: Final = 50_000_000
"""First seed of DAgger rounds."""

DAGGER_END: Final = 2_000_000_000
"""First seed after those of DAgger rounds; it fits into 32 bits."""

_SHARE_OF_VERB: Final = {'reach': 0.15, 'push': 0.3, 'lift': 0.2, 'place': 0.35}
"""The longer a task and the finer its end, the more scenes it needs."""

_TASK_SHARES: Final = [_SHARE_OF_VERB[task.verb] / len(COLORS) for task in TASKS]


def draw_task(rng: np.random.Generator, verbs: Sequence[str] = ()) -> int:
    """Return the index of the task a scene is about, one of ``verbs`` if there are any."""
    wanted = [not verbs or task.verb in verbs for task in TASKS]
    shares = np.multiply(_TASK_SHARES, wanted)
    return int(rng.choice(len(TASKS), p=shares / shares.sum()))


UNBROKEN_TELEPORTED: Final = 0.8
"""Share of scenes that begin near their end where every state becomes a frame."""


@dataclass(frozen=True, slots=True)
class SceneRules:
    """
    How states are drawn.

    :param teleported: share of scenes that begin with the gripper near a block or the disc.
    :param steps: most expert steps after that.
    :param kept: share of visited states that become frames.
    :param delay: steps between an observation and the action that answers it.
    """

    teleported: float = 0.5
    steps: int = 70
    kept: float = 0.25
    delay: int = 1

    @property
    def unbroken(self) -> SceneRules:
        """Rules under which a scene gives all its states: short scenes, so that they are many."""
        return replace(self, kept=1.0, teleported=max(self.teleported, UNBROKEN_TELEPORTED))


def visit(
    world: TabletopWorld, seed: int, rules: SceneRules, variations: Sequence[str] = ()
) -> Iterator[tuple[int, Conditions]]:
    """
    Play one scene and stop in each state to keep, with the task's index and the conditions.

    :param variations: names in ``variations.VARIATIONS``; see :func:`training_conditions`.
    """
    rng = np.random.default_rng([seed, 1])
    index = draw_task(rng)
    task = TASKS[index]
    state = world.reset(seed, task if rng.random() < 0.7 else None)
    conditions = training_conditions(variations, seed, task, state)
    world.dress(conditions)
    teleported = rng.random() < rules.teleported
    if teleported:
        _teleport(world, task, rng)
        if world.colliding:
            return
        if rules.kept < 1:  # else it is recorded before the first step
            yield index, conditions
    steps = int(rng.integers(0, 12)) if teleported else rules.steps
    drawn = conditions.delay_steps
    delay = rules.delay if drawn is None else drawn
    for _ in _noisy_expert(world, task, rng, steps, delay):
        if rng.random() < rules.kept:
            yield index, conditions


def _noisy_expert(
    world: TabletopWorld, task: Task, rng: np.random.Generator, steps: int, delay: int
) -> Iterator[None]:
    noise_m = rng.choice([0.0, 0.003, 0.006, 0.012])
    state, after_done = world.state, 0
    pending = [_hold(state.gripper_opening)] * delay
    for _ in range(steps):
        yield
        action = expert_action(state, task)
        after_done += int(action[0] > 0.5)
        if after_done > 2:
            return
        pending.append(_disturbed(action, rng, noise_m))
        state = world.step(pending.pop(0))


def _disturbed(
    action: NDArray[np.float32], rng: np.random.Generator, noise_m: float
) -> NDArray[Any]:
    noisy: NDArray[Any] = action.copy()
    noisy[1:4] += rng.normal(0, noise_m, 3)
    noisy[6] += rng.normal(0, noise_m * 4)
    if noise_m and rng.random() < 0.03:
        noisy[7] = 1 - noisy[7]
    return noisy


def _hold(opening: float) -> NDArray[np.float32]:
    action = np.zeros(8, np.float32)
    action[7] = round(opening)
    return action


def _teleport(world: TabletopWorld, task: Task, rng: np.random.Generator) -> None:
    """Put the gripper where the task is decided: at its block, its disc, or its push point."""
    objects = world.state.objects
    block, disc = objects[task.color], objects[DISC].position
    spread = rng.choice([0.01, 0.03, 0.06])
    height = 0.018 + rng.exponential(0.04)
    yaw = rng.uniform(-0.4, 0.4) if rng.random() < 0.5 else block.yaw_rad
    kind = rng.random()
    if task.verb == 'place' and kind < 0.15:
        _let_go(world, task.color, disc, yaw, rng)
        return
    if kind < {'lift': 0.5, 'place': 0.75}.get(task.verb, 0.0):
        target = disc if task.verb == 'place' and kind < 0.55 else block.position
        at = target[:2] + rng.normal(0, spread, 2)
        world.teleport((*at, height + 0.004), yaw_rad=yaw, holding=task.color)
        return
    opening = float(rng.choice([0.0, 0.5, 1.0], p=[0.25, 0.1, 0.65]))
    at = block.position[:2]
    if task.verb == 'push' and kind < 0.7:
        back = at - disc[:2]
        at = at + back / max(float(np.linalg.norm(back)), 1e-6) * rng.uniform(0.03, 0.08)
        opening = float(rng.choice([0.0, 1.0], p=[0.8, 0.2]))
        yaw *= rng.random() < 0.3
    elif kind > 0.9:
        at = disc[:2]
    world.teleport((*(at + rng.normal(0, spread, 2)), height), yaw_rad=yaw, opening=opening)


def _let_go(
    world: TabletopWorld, color: str, disc: Float64Array, yaw: float, rng: np.random.Generator
) -> None:
    """Put the block on the disc and the opening fingers around it, where opening must go on."""
    at = disc[:2] + rng.normal(0, 0.012, 2)
    world.teleport((*at, BLOCK_HALF_M), yaw_rad=yaw, holding=color)
    height = BLOCK_HALF_M + rng.exponential(0.015)
    world.teleport((*at, height), yaw_rad=yaw, opening=rng.uniform(0.5, 1.0))
