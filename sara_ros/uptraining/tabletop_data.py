"""Losses and errors of tabletop models on their own frames."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

import numpy as np
from rich.progress import Progress
import torch
from torch import Tensor, nn

from sara_ros.policies.checkpoint import StoredCheckpoint
from sara_ros.policies.pct_network import PCTNetwork
from sara_ros.policies.rt2_network import RT2Network
from sara_ros.sim.action_space import tabletop_action
from sara_ros.training.capture import VIEWS, Capture
from sara_ros.training.frames import Frames, join
from sara_ros.training.loop import Losses, LossFunction
from sara_ros.training.pct_tabletop import CHOICE_WEIGHT, PCTLearner
from sara_ros.training.rt2_tabletop import RT2Learner
from sara_ros.uptraining.data import DataOptions
from sara_ros.uptraining.distributed import ALONE, Processes
from sara_ros.uptraining.measure import (
    ErrorSum,
    HeldOutError,
    batches,
    regressed_actions,
    token_actions,
)
from sara_ros.uptraining.tabletop_frames import FrameStore

_BATCH: Final = 50


class TabletopData:
    """See :class:`TrainingData`; which frames those are is what ``policy.json`` states."""

    def __init__(
        self,
        stored: StoredCheckpoint,
        network: RT2Network | PCTNetwork,
        options: DataOptions,
        progress: Progress | None = None,
        here: Processes = ALONE,
    ) -> None:
        """Collect what is missing below ``options.work`` and load it."""
        self._here = here
        spec, training = stored.checkpoint.spec, stored.checkpoint.training
        capture = (
            Capture(images=False, points=network.config)
            if isinstance(network, PCTNetwork)
            else Capture(images=True)
        )
        store = FrameStore(spec.model_id, training, capture, options, progress)
        self._frames, self._held_out = store.trained_on(), store.held_out()
        self._network = network
        self._measuring = _learner_of(network)

    @property
    def facts(self) -> Mapping[str, Any]:
        """See :class:`TrainingData`."""
        visited = self._frames.visited
        return {
            'expert_frames': len(self._frames.expert['task']),
            'dagger_frames': 0 if visited is None else len(visited['task']),
            'instructions_per_image': self._frames.instructions,
        }

    def learner(self, network: nn.Module) -> Any:
        """See :class:`TrainingData`."""
        learner: Any = _learner_of(self._network)
        learner.network = network
        return learner

    def losses(self, learner: Any) -> LossFunction:
        """See :class:`TrainingData`."""
        shared = _Shared(learner, self._here)
        return lambda rng, batch: self._frames.losses(shared, rng, batch)

    def encode(self, network: nn.Module, rng: np.random.Generator, batch: int) -> object:
        """See :class:`TrainingData`; clouds are whole, as they are when the model is served."""
        parts = [frames for frames in (self._frames.expert, self._frames.visited) if frames]
        drawn = []
        for frames in parts:
            rows = rng.integers(0, len(frames['task']), -(-batch // len(parts)))
            own = rows[self._here.part(len(rows))]
            drawn.append({name: frames[name][own] for name in _inputs(network)})
        inputs = drawn[0] if len(drawn) == 1 else join(drawn[0], drawn[1])
        device = self._here.device
        on = {name: torch.from_numpy(value).to(device) for name, value in inputs.items()}
        return _encoded(network, on)

    @torch.inference_mode()
    def measure(self, network: nn.Module) -> HeldOutError:
        """See :class:`TrainingData`; each frame is measured on the task it came from."""
        network.eval()
        errors = ErrorSum(tabletop_action())
        for rows in batches(len(self._held_out['task']), _BATCH):
            frames = {name: torch.from_numpy(v[rows]) for name, v in self._held_out.items()}
            wanted = frames['labels'][torch.arange(len(frames['task'])), frames['task']]
            errors.add(*self._measured(network, frames, wanted), wanted)
        return errors.result()

    def _measured(
        self, network: nn.Module, frames: Mapping[str, Tensor], wanted: Tensor
    ) -> tuple[dict[str, Tensor], Tensor]:
        learner = self._measuring
        words = learner.words[frames['task']]  # (B, W)
        if isinstance(learner, PCTLearner):
            output = network(frames['points'].float(), frames['state'], words[:, None])
            parts = learner.action_losses(output.actions, wanted[:, None])
            loss = parts['motion'] + CHOICE_WEIGHT * parts['choices']
            return {'loss': loss, **parts}, regressed_actions(output, tabletop_action())
        rt2, inputs = cast('RT2Network', network), ([frames[view.name] for view in VIEWS],)
        tokens = learner.tokens.encode(wanted[:, None])[:, None]  # (B, 1, 8)
        logits = rt2(*inputs, frames['state'], words[:, None], tokens)
        parts = learner.action_losses(logits, wanted[:, None])
        made = rt2.generate(*inputs, frames['state'], words)
        actions = token_actions(
            made, frames['state'], learner.tokens, rt2.config, tabletop_action()
        )
        return {'loss': parts['tokens'] + parts['expectation'], **parts}, actions


@dataclass(frozen=True, slots=True)
class _Shared:
    """A learner that is given whole batches and takes this process's part of them."""

    learner: RT2Learner | PCTLearner
    here: Processes

    def losses(self, frames: Frames, rows: Any, tasks: Tensor, rng: np.random.Generator) -> Losses:
        part = self.here.part(len(rows))
        return self.learner.losses(frames, rows[part], tasks[part], rng, self.here.mean)


def _learner_of(network: nn.Module) -> RT2Learner | PCTLearner:
    """Return a learner for networks like this one, with random weights."""
    if isinstance(network, PCTNetwork):
        return PCTLearner(network.config)
    return RT2Learner(cast('RT2Network', network).config)


def _inputs(network: nn.Module) -> tuple[str, ...]:
    if isinstance(network, PCTNetwork):
        return ('points', 'state')
    return tuple(view.name for view in VIEWS)


def _encoded(network: nn.Module, frames: Mapping[str, Tensor]) -> Tensor:
    if isinstance(network, PCTNetwork):
        # The pose comes first in the state of every tabletop policy.
        return network.encode(frames['points'].float(), frames['state'][:, :3])
    return cast('RT2Network', network).encode([frames[view.name] for view in VIEWS])


__all__ = ['TabletopData']
