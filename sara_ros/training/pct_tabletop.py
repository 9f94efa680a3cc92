"""Behaviour cloning of the PCT variant on tabletop clouds, with training-only losses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cosine_similarity, huber_loss

from sara_ros.policies.pct_config import PCTConfig
from sara_ros.policies.pct_network import PCTNetwork, PCTOutput
from sara_ros.policies.rt2_config import StateInput
from sara_ros.policies.words import Vocabulary
from sara_ros.sim.action_space import tabletop_action
from sara_ros.sim.scene import BLOCK_HALF_M, COLORS, DISC, DISC_RADIUS_M, OBJECTS
from sara_ros.sim.tasks import INSTRUCTIONS
from sara_ros.training.frames import Frames
from sara_ros.training.loop import Losses
from sara_ros.training.losses import Mean, alone, blocks_of, pointing_loss
from sara_ros.training.sentences import INSTRUCTED, Sentences, encoded, sample_words
from sara_ros.training.tabletop_spec import STATE
from sara_ros.training.windows import Window

CHOICE_WEIGHT: Final = 0.3
GRASP_WEIGHT: Final = 0.3
_GRASP_SCALE_M: Final = 0.02
_RADIUS_M: Final = torch.tensor([BLOCK_HALF_M * 1.5] * len(COLORS) + [DISC_RADIUS_M])
_MOTION_WEIGHTS: Final = torch.tensor([1, 1, 1, 0.2, 0.2, 1])
_MOTION: Final = slice(1, 7)
_CHOICES: Final = [0, 7]
"""Terminate and gripper opening: the expert says 0 or 1, nothing between."""


def pct_config() -> PCTConfig:
    """Return the architecture of ``pct-tabletop``."""
    return PCTConfig(
        cloud='points',
        features=3,
        crop_min=(0.24, -0.30, -0.02),
        crop_max=(0.68, 0.30, 0.16),
        voxel_m=0.019,
        points=768,
        pose='ee_pose',
        state=tuple(StateInput(*part) for part in STATE),
        vocabulary=Vocabulary.of(INSTRUCTIONS).words,
        actions=8,
    )


class PCTLearner(nn.Module):
    """The network and what it needs in training."""

    window: Final = Window()
    words: Tensor
    low: Tensor
    high: Tensor

    def __init__(
        self, config: PCTConfig, backend: str = 'softmax', sentences: Sentences = INSTRUCTED
    ) -> None:
        """Build the network with random weights; ``sentences`` are those of each task."""
        super().__init__()
        self.network = PCTNetwork(config, backend, {})
        words = encoded(config, sentences)
        action = tabletop_action()
        self.register_buffer('words', words, persistent=False)
        self.register_buffer('low', torch.from_numpy(action.low), persistent=False)
        self.register_buffer('high', torch.from_numpy(action.high), persistent=False)

    def batch(self, frames: Frames, rows: Any) -> dict[str, Tensor]:
        """Return frames as tensors on the device of the learner."""
        return self.window.tensors(frames, rows, (), self.words.device)

    def losses(
        self,
        frames: Frames,
        rows: Sequence[int],
        tasks: Tensor,
        rng: np.random.Generator,
        mean: Mean = alone,
    ) -> Losses:
        """Return the losses on ``rows`` of ``frames`` for ``tasks`` ``(B, I)``."""
        device = self.words.device
        tasks = tasks.to(device)
        batch = self.batch(frames, rows)
        labels = batch['labels'][torch.arange(len(rows), device=device)[:, None], tasks]
        points = batch['points'].float()
        if not self.network.config.grouping:  # which samples points by itself
            points = _some(points, rng)
        output = self.network(points, batch['state'], sample_words(self.words, tasks, rows, rng))
        parts = self.action_losses(output.actions, labels)
        shows = _looked_at(output.xyz, batch['places'][:, 0], tasks)
        pointing = pointing_loss(output.scores[:, :, :2], shows, mean)
        total = parts['motion'] + CHOICE_WEIGHT * parts['choices'] + 0.1 * pointing
        grasp = self._grasp_loss(output, batch, tasks)
        return {
            'loss': total + GRASP_WEIGHT * sum(grasp.values()),
            **parts,
            'pointing': pointing,
            **grasp,
        }

    def _grasp_loss(self, output: PCTOutput, batch: Mapping[str, Tensor], tasks: Tensor) -> Losses:
        if output.grasps is None:
            return {}
        rows = torch.arange(len(tasks), device=tasks.device)[:, None]
        wanted = batch['grasps'][rows, blocks_of(tasks)]  # (B, I, 7)
        return {'grasp': grasp_loss(output.grasps, wanted, self.network.config.grasp_symmetry)}

    def action_losses(self, actions: Tensor, labels: Tensor) -> Losses:
        """Return the losses of actions ``(B, I, 8)`` in [-1, 1] for labels in their units."""
        actions = actions.float()
        unit = (labels - self.low) / (self.high - self.low) * 2 - 1
        return {'motion': motion_loss(actions, unit), 'choices': choice_loss(actions, unit)}


def motion_loss(actions: Tensor, unit: Tensor) -> Tensor:
    """Return the Huber loss on translation and rotation, both in [-1, 1]."""
    errors = huber_loss(actions[..., _MOTION], unit[..., _MOTION], delta=0.2, reduction='none')
    return (errors * _MOTION_WEIGHTS.to(errors.device)).mean() * 5


def choice_loss(actions: Tensor, unit: Tensor) -> Tensor:
    """
    Return the cross entropy of the outputs that choose; 0 is the point of indecision.

    A Huber loss is linear there and leaves a network at the commoner choice.
    """
    chosen = (unit[..., _CHOICES] > 0).float()
    return binary_cross_entropy_with_logits(4 * actions[..., _CHOICES], chosen)


def grasp_loss(predicted: Tensor, wanted: Tensor, symmetry: int) -> Tensor:
    """
    Return how far grasps ``(..., 8)`` of a :class:`GraspHead` are from those of the expert.

    :param wanted: ``(..., 7)`` as :func:`block_grasps` returns them.
    """
    predicted = predicted.float()
    gaps = predicted[..., :3] / _GRASP_SCALE_M, wanted[..., :3] / _GRASP_SCALE_M
    turns = wanted[..., 6] * symmetry
    roll = torch.stack((turns.sin(), turns.cos()), dim=-1)
    approach = 1 - cosine_similarity(predicted[..., 3:6], wanted[..., 3:6], dim=-1)
    turned = 1 - cosine_similarity(predicted[..., 6:], roll, dim=-1)
    return huber_loss(*gaps, delta=0.5) + approach.mean() + turned.mean()


def _some(points: Tensor, rng: np.random.Generator) -> Tensor:
    """Return a random half of each cloud: a new one each time, at a third of the cost."""
    kept = rng.permutation(points.shape[1])[: points.shape[1] // 2]
    return points[:, torch.from_numpy(kept)]


def _looked_at(xyz: Tensor, places: Tensor, tasks: Tensor) -> Tensor:
    """Return ``(B, I, 2, N)``: the points of the named block and of the disc."""
    gaps = xyz[:, None] - places[:, :, None]  # (B, 5, N, 3)
    near = gaps.norm(dim=-1) < _RADIUS_M.to(gaps.device)[:, None]
    rows = torch.arange(len(near), device=near.device)[:, None]
    block = near[rows, blocks_of(tasks)]  # (B, I, N)
    disc = near[:, None, OBJECTS.index(DISC)].expand_as(block)
    return torch.stack((block, disc), dim=2)
