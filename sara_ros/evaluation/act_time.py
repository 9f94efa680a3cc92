"""How long policies take for one observation, as they are served."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
import time
from typing import Any, Final

from sara_ros.core.statistics import Percentiles
from sara_ros.evaluation.closed_loop import CHOICE_SEEDS
from sara_ros.policies.loading import load_policy, warm_up
from sara_ros.policies.threads import one_thread
from sara_ros.sim.cameras import CameraRig
from sara_ros.sim.policy_sensors import Sensors
from sara_ros.sim.tasks import TASKS
from sara_ros.sim.world import TabletopWorld

OBSERVATIONS: Final = 40


def act_times_ms(
    models_dir: Path, model_ids: Sequence[str], count: int = OBSERVATIONS
) -> dict[str, dict[str, Any]]:
    """
    Return median and 95th percentile of ``act`` on the tabletop in ms, by model.

    One CPU thread, as the policy node has it. The models take turns, so that a machine that
    becomes slower slows all of them.
    """
    world = TabletopWorld()
    with one_thread(), CameraRig(world.model) as rig:
        policies = {name: load_policy(models_dir, name) for name in model_ids}
        sensors = {name: Sensors(world, rig, each.spec) for name, each in policies.items()}
        spent_ms: dict[str, list[float]] = {name: [] for name in policies}
        for policy in policies.values():
            warm_up(policy)
        for index in range(count):
            world.reset(CHOICE_SEEDS + index)
            for name, policy in policies.items():
                seen = sensors[name].observe(TASKS[index % len(TASKS)].instruction)
                began = time.perf_counter()
                policy.act(seen)
                spent_ms[name].append((time.perf_counter() - began) * 1e3)
    return {name: _described(values) for name, values in spent_ms.items()}


def _described(spent_ms: Sequence[float]) -> dict[str, Any]:
    found = Percentiles.of(spent_ms)
    return {
        'p50': round(found.p50, 2), 'p95': round(found.p95, 2), 'count': len(spent_ms),
        'threads': 1,
    }  # fmt: skip
