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
from sara_ros.training.frames import Frames
from sara_ros.training.loop import Losses, LossFunction
from sara_ros.training.pct_tabletop import CHOICE_WEIGHT, PCTLearner
from sara_ros.training.rt2_tabletop import RT2Learner
from sara_ros.training.tabletop import capture_of, learner_of
from sara_ros.training.varied import training_sentences, variations_of
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
        self._sentences = training_sentences(variations_of(training))
        self._measuring = learner_of(network.config, sentences=self._sentences)
        capture = capture_of(self._measuring)
        store = FrameStore(spec.model_id, training, capture, options, progress)
        self._frames, self._held_out = store.trained_on(), store.held_out()
        self._network, self._action = network, spec.action

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
        learner: Any = learner_of(self._network.config, sentences=self._sentences)
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
            drawn.append(_inputs(self._measuring, self._measuring.batch(frames, own)))
        inputs = [torch.cat(values).to(self._here.device) for values in zip(*drawn, strict=True)]
        return _encoded(network, inputs)

    @torch.inference_mode()
    def measure(self, network: nn.Module) -> HeldOutError:
        """See :class:`TrainingData`; each frame is measured on the task it came from."""
        network.eval()
        errors = ErrorSum(self._action)
        for part in batches(len(self._held_out['task']), _BATCH):
            rows = np.arange(part.start, part.stop)
            frames = self._measuring.batch(self._held_out, rows)
            errors.add(*self._measured(network, frames))
        return errors.result()

    def _measured(
        self, network: nn.Module, frames: Mapping[str, Tensor]
    ) -> tuple[dict[str, Tensor], Tensor, Tensor]:
        """Return losses, and the first action ``(B, A)`` beside the one of the expert."""
        learner, tasks = self._measuring, frames['task'][:, None]
        words = learner.words[tasks, 0]  # (B, 1, W)
        if isinstance(learner, PCTLearner):
            wanted = frames['labels'][torch.arange(len(tasks)), tasks[:, 0]]
            output = network(frames['points'].float(), frames['state'], words)
            parts = learner.action_losses(output.actions, wanted[:, None])
            loss = parts['motion'] + CHOICE_WEIGHT * parts['choices']
            return {'loss': loss, **parts}, regressed_actions(output, self._action), wanted
        rt2, images = cast('RT2Network', network), learner.images(frames)
        labels, known = learner.labels(frames, tasks)  # (B, 1, horizon, A)
        logits = rt2(images, frames['state'], words, learner.tokens.encode(labels))
        parts = learner.action_losses(logits, labels, known)
        made = rt2.generate(images, frames['state'], words[:, 0])
        actions = token_actions(made, frames['state'], learner.tokens, rt2.config, self._action)
        loss = torch.stack(list(parts.values())).sum()
        return {'loss': loss, **parts}, actions, labels[:, 0, 0]


@dataclass(frozen=True, slots=True)
class _Shared:
    """A learner that is given whole batches and takes this process's part of them."""

    learner: RT2Learner | PCTLearner
    here: Processes

    def losses(self, frames: Frames, rows: Any, tasks: Tensor, rng: np.random.Generator) -> Losses:
        part = self.here.part(len(rows))
        return self.learner.losses(frames, rows[part], tasks[part], rng, self.here.mean)


def _inputs(learner: RT2Learner | PCTLearner, frames: Mapping[str, Tensor]) -> list[Tensor]:
    if isinstance(learner, PCTLearner):
        # The pose comes first in the state of every tabletop policy.
        return [frames['points'].float(), frames['state'][:, :3]]
    return learner.images(frames)


def _encoded(network: nn.Module, inputs: list[Tensor]) -> Tensor:
    if isinstance(network, PCTNetwork):
        return network.encode(*inputs)
    return cast('RT2Network', network).encode(inputs)


__all__ = ['TabletopData']
