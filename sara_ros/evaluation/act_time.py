"""How long a policy takes for one observation, as it is served."""

from __future__ import annotations

from pathlib import Path
import time
from typing import Any, Final

import torch

from sara_ros.core.statistics import Percentiles
from sara_ros.evaluation.closed_loop import CHOICE_SEEDS
from sara_ros.policies.loading import load_policy, warm_up
from sara_ros.sim.cameras import CameraRig
from sara_ros.sim.policy_sensors import Sensors
from sara_ros.sim.tasks import TASKS
from sara_ros.sim.world import TabletopWorld

OBSERVATIONS: Final = 40


def act_time_ms(
    models_dir: Path, model_id: str, attention_backend: str = '', count: int = OBSERVATIONS
) -> dict[str, Any]:
    """Return median and 95th percentile of ``act`` on observations of the tabletop, in ms."""
    policy = load_policy(models_dir, model_id, attention_backend=attention_backend)
    warm_up(policy)
    world, spent_ms = TabletopWorld(), []
    with CameraRig(world.model) as rig:
        sensors = Sensors(world, rig, policy.spec)
        for index in range(count):
            world.reset(CHOICE_SEEDS + index)
            seen = sensors.observe(TASKS[index % len(TASKS)].instruction)
            began = time.perf_counter()
            policy.act(seen)
            spent_ms.append((time.perf_counter() - began) * 1e3)
    found = Percentiles.of(spent_ms)
    return {
        'p50': round(found.p50, 2), 'p95': round(found.p95, 2), 'count': count,
        'threads': torch.get_num_threads(),
    }  # fmt: skip
