"""Queries and keys of the shipped models while they look at the simulated tabletop."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from sara_ros.attention import AttentionBackend
from sara_ros.core import Observation, PolicySpec
from sara_ros.evaluation.closed_loop import FIRST_SEED
from sara_ros.policies.attention_layers import attention_layers
from sara_ros.policies.loading import load_policy
from sara_ros.sim.cameras import CameraRig
from sara_ros.sim.policy_sensors import Sensors
from sara_ros.sim.tasks import TASKS
from sara_ros.sim.world import TabletopWorld

MODELS: Final = ('rt2-tabletop', 'pct-tabletop')


@dataclass(frozen=True, slots=True)
class Activation:
    """
    What one attention layer got for one observation: ``q`` and ``k`` of ``(1, H, N, D)``.

    :param form: method that was called, ``forward`` or ``offset``.
    """

    model_id: str
    layer: str
    backend: str
    form: str
    q: Tensor
    k: Tensor


class Recording(AttentionBackend):
    """A backend that keeps the queries and keys it is given."""

    def __init__(self, inner: AttentionBackend, model_id: str, layer: str) -> None:
        """Wrap ``inner``."""
        super().__init__()
        self.inner = inner
        self.seen: list[Activation] = []
        self._place = (model_id, layer)

    def forward(self, q: Tensor, k: Tensor, v: Tensor, key_mask: Tensor | None = None) -> Tensor:
        """See :meth:`AttentionBackend.forward`."""
        self._keep('forward', q, k)
        mixed: Tensor = self.inner(q, k, v, key_mask)
        return mixed

    def offset(self, q: Tensor, k: Tensor, v: Tensor, key_mask: Tensor | None = None) -> Tensor:
        """See :meth:`AttentionBackend.offset`."""
        self._keep('offset', q, k)
        return self.inner.offset(q, k, v, key_mask)

    def _keep(self, form: str, q: Tensor, k: Tensor) -> None:
        kept = (q.detach().clone(), k.detach().clone())
        self.seen.append(Activation(*self._place, self.inner.name, form, *kept))


def record_activations(models_dir: Path, model_id: str, observations: int) -> list[Activation]:
    """
    Let a model act on the first observation of several held-out episodes.

    :raises CheckpointError: when the model cannot be read.
    """
    policy: Any = load_policy(models_dir, model_id)
    layers = []
    for name, layer in attention_layers(policy.network).items():
        layer.attention = Recording(layer.attention, model_id, name)
        layers.append(layer.attention)
    with torch.inference_mode():
        for observation in tabletop_observations(policy.spec, observations):
            policy.act(observation)
    return [seen for layer in layers for seen in layer.seen]


def tabletop_observations(spec: PolicySpec, count: int) -> Iterator[Observation]:
    """Yield the first observation of ``count`` episodes, as the simulator node publishes it."""
    world = TabletopWorld()
    with CameraRig(world.model) as rig:
        sensors = Sensors(world, rig, spec)
        for index, task in zip(range(count), _tasks(count), strict=True):
            world.reset(FIRST_SEED + index, task)
            yield sensors.observe(task.instruction)


def _tasks(count: int) -> Sequence[Any]:
    return [TASKS[index % len(TASKS)] for index in range(count)]
