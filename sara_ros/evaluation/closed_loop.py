"""Closed-loop success of a policy on the tabletop, on seeds that no training uses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
import math
import multiprocessing
from pathlib import Path
import time
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from rich.progress import Progress

from sara_ros.core import Observation, ObservationSpec, ParameterError, Policy, PolicySpec
from sara_ros.sim.cameras import CameraRig
from sara_ros.sim.scene import FINGER_JOINT, FINGER_TRAVEL_M, JOINTS
from sara_ros.sim.sensors import front_cloud
from sara_ros.sim.tasks import TASKS, VERBS, Task
from sara_ros.sim.world import TabletopWorld
from sara_ros.training.progress import running

FIRST_SEED: Final = 500_000
"""Evaluation uses this seed and those after it; training begins at ten million."""

IMAGE_SIZES: Final = {'front': (480, 640), 'wrist': (128, 128)}
DEPTH_SIZE: Final = (120, 160)
"""Rows and columns of what the simulator node publishes."""


@dataclass(frozen=True, slots=True)
class EvaluationConfig:
    """
    What to run.

    :param episodes: episodes of each task.
    :param delay: steps between an observation and the action that answers it.
    :param max_steps: steps after which an episode ends, if the policy does not end it.
    :param verbs: verbs to leave in; all when empty.
    """

    models_dir: Path
    model_id: str
    attention_backend: str = ''
    episodes: int = 15
    first_seed: int = FIRST_SEED
    delay: int = 1
    max_steps: int = 100
    processes: int = 2
    verbs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one episode ended; ``inference_ms`` is the median of the policy's own time."""

    instruction: str
    seed: int
    success: bool
    terminated: bool
    steps: int
    inference_ms: float


class Sensors:
    """Draws what a spec asks for, as the simulator node publishes it."""

    def __init__(self, world: TabletopWorld, rig: CameraRig, spec: PolicySpec) -> None:
        """Observe ``world`` for a policy with ``spec``."""
        self._world = world
        self._rig = rig
        self._spec = spec

    def observe(self, instruction: str) -> Observation:
        """
        Return the present observation.

        :raises ParameterError: for a need that the tabletop does not have.
        """
        values = {need.name: self._value(need) for need in self._spec.observations}
        return Observation.of(instruction, **values)

    def _value(self, need: ObservationSpec) -> NDArray[Any]:
        if need.kind == 'image' and need.name in IMAGE_SIZES:
            return self._rig.rgb(self._world.data, need.name, *IMAGE_SIZES[need.name])
        if need.kind == 'points':
            return front_cloud(self._rig, self._world.data, DEPTH_SIZE)
        state = self._world.state
        if need.kind == 'pose':
            return state.ee.vector
        if need.kind == 'object_poses':
            return np.stack([state.objects[name].vector for name in need.names])
        if need.kind == 'joint_positions':
            joints = dict(zip(JOINTS, state.joint_positions, strict=True))
            joints[FINGER_JOINT] = state.gripper_opening * FINGER_TRAVEL_M
            if set(need.names) <= set(joints):
                return np.array([joints[name] for name in need.names], np.float32)
        raise ParameterError(
            f"model '{self._spec.model_id}' needs '{need.name}' ({need.kind}), which the tabletop "
            'does not have'
        )


def evaluate(config: EvaluationConfig, progress: Progress | None = None) -> dict[str, Any]:
    """
    Run all episodes and return success by verb and in all, each with a Wilson 95 % interval.

    :raises ParameterError: for unknown verbs, and for policies that do not fit the tabletop.
    """
    unknown = set(config.verbs) - set(VERBS)
    if unknown:
        raise ParameterError(f'no verb {sorted(unknown)[0]!r}; known: {", ".join(VERBS)}')
    jobs = _jobs(config)
    shares = [jobs[index :: config.processes] for index in range(config.processes)]
    began = time.monotonic()
    outcomes: list[Outcome] = []
    with running(progress) as bar:
        task = bar.add_task(f'evaluate {config.model_id}', total=len(jobs))
        for outcome in _run(config, [share for share in shares if share]):
            outcomes.append(outcome)
            bar.advance(task)
    result = summarise_outcomes(outcomes)
    return {
        'policy': config.model_id,
        'attention_backend': config.attention_backend or 'as trained',
        'seeds': [config.first_seed, config.first_seed + config.episodes - 1],
        'delay_steps': config.delay,
        'max_steps': config.max_steps,
        'seconds': round(time.monotonic() - began, 1),
        **result,
    }


def summarise_outcomes(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Return the counts of ``outcomes`` in all, by verb and by instruction."""
    verbs = {verb: [o for o in outcomes if o.instruction.startswith(verb)] for verb in VERBS}
    tasks = {
        task.instruction: [o for o in outcomes if o.instruction == task.instruction]
        for task in TASKS
    }
    return {
        **_row(outcomes),
        'per_verb': {verb: _row(some) for verb, some in verbs.items() if some},
        'per_task': {text: _row(some) for text, some in tasks.items() if some},
        'terminated': sum(outcome.terminated for outcome in outcomes),
        'median_steps': float(np.median([outcome.steps for outcome in outcomes])),
        'median_act_ms': float(np.median([outcome.inference_ms for outcome in outcomes])),
    }


def wilson_interval(successes: int, trials: int) -> tuple[float, float]:
    """Return the Wilson score interval at 95 %."""
    if trials < 1:
        raise ParameterError('an interval needs at least one trial')
    z = 1.959963984540054
    share = successes / trials
    scale = 1 + z * z / trials
    middle = share + z * z / (2 * trials)
    spread = z * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    return max(0.0, (middle - spread) / scale), min(1.0, (middle + spread) / scale)


def run_episode(
    policy: Policy, world: TabletopWorld, sensors: Sensors, task: Task, config: EvaluationConfig,
    seed: int,
) -> Outcome:  # fmt: skip
    """Play until the policy terminates or the steps are used up; success is judged then."""
    state = world.reset(seed, task)
    policy.reset()
    hold = np.array([0, 0, 0, 0, 0, 0, 0, 1], np.float32)
    pending, spent_ms, steps, terminated = [hold] * config.delay, [], 0, False
    while steps < config.max_steps and not terminated:
        observation = sensors.observe(task.instruction)
        began = time.perf_counter()
        action = policy.act(observation).values[0]
        spent_ms.append((time.perf_counter() - began) * 1e3)
        pending.append(action)
        terminated = bool(pending[0][0] > 0.5)
        state = world.step(pending.pop(0))
        steps += 1
    return Outcome(
        task.instruction, seed, task.success(state), terminated, steps, float(np.median(spent_ms))
    )


def _row(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    successes = sum(outcome.success for outcome in outcomes)
    low, high = wilson_interval(successes, len(outcomes))
    return {
        'success': round(successes / len(outcomes), 4),
        'successes': successes,
        'episodes': len(outcomes),
        'ci95': [round(low, 4), round(high, 4)],
    }


def _jobs(config: EvaluationConfig) -> list[tuple[Task, int]]:
    tasks = [task for task in TASKS if not config.verbs or task.verb in config.verbs]
    return [(task, config.first_seed + i) for i in range(config.episodes) for task in tasks]


def _run(config: EvaluationConfig, shares: list[list[tuple[Task, int]]]) -> Iterator[Outcome]:
    if len(shares) == 1:
        yield from _play(config, shares[0])
        return
    with ProcessPoolExecutor(len(shares), multiprocessing.get_context('spawn')) as pool:
        # Small pieces, so that progress moves and the last process does not run alone for long.
        pieces = [share[i : i + 4] for share in shares for i in range(0, len(share), 4)]
        jobs = [pool.submit(_play_piece, replace(config, processes=1), piece) for piece in pieces]
        for job in as_completed(jobs):
            yield from job.result()


def _play_piece(config: EvaluationConfig, jobs: list[tuple[Task, int]]) -> list[Outcome]:
    return list(_play(config, jobs))


_cached: dict[EvaluationConfig, tuple[Policy, TabletopWorld, CameraRig]] = {}


def _play(config: EvaluationConfig, jobs: list[tuple[Task, int]]) -> Iterator[Outcome]:
    policy, world, rig = _players(config)
    sensors = Sensors(world, rig, policy.spec)
    for task, seed in jobs:
        yield run_episode(policy, world, sensors, task, config, seed)


def _players(config: EvaluationConfig) -> tuple[Policy, TabletopWorld, CameraRig]:
    """Return a policy and a world, which a process makes once."""
    if config not in _cached:
        import torch

        from sara_ros.policies.loading import load_policy

        if multiprocessing.parent_process() is not None:
            torch.set_num_threads(1)
        policy = load_policy(
            config.models_dir, config.model_id, attention_backend=config.attention_backend
        )
        world = TabletopWorld()
        _cached[config] = (policy, world, CameraRig(world.model))
    return _cached[config]
