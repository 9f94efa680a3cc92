"""Behaviour cloning of the RT-2 variant on tabletop frames, with training-only losses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn

from sara_ros.policies.action_tokens import ActionTokens
from sara_ros.policies.rt2_config import RT2Config, StateInput
from sara_ros.policies.rt2_network import RT2Network
from sara_ros.policies.words import Vocabulary
from sara_ros.sim.action_space import tabletop_action
from sara_ros.sim.scene import DISC, OBJECTS
from sara_ros.sim.tasks import INSTRUCTIONS, TASKS
from sara_ros.training.capture import VIEWS
from sara_ros.training.frames import Frames
from sara_ros.training.loop import Losses
from sara_ros.training.losses import (
    GOALS,
    Mean,
    alone,
    blocks_of,
    content_loss,
    expectation_loss,
    goals_loss,
    pointing_loss,
    soft_targets,
    token_loss,
)
from sara_ros.training.tabletop_spec import STATE

SEEN_PIXELS: Final = 3
"""Pixels of an object behind a token from which on it counts as shown there."""

POINTING_LAYER: Final = 1


def tabletop_config(decode: str = 'argmax') -> RT2Config:
    """Return the architecture of ``rt2-tabletop``."""
    return RT2Config(
        views=VIEWS,
        state=tuple(StateInput(*part) for part in STATE),
        vocabulary=Vocabulary.of(INSTRUCTIONS).words,
        actions=8,
        decode=decode,
    )


class RT2Learner(nn.Module):
    """The network and the heads that exist in training only."""

    words: Tensor

    def __init__(self, config: RT2Config, backend: str = 'softmax') -> None:
        """Build both with random weights."""
        super().__init__()
        self.network = RT2Network(config, backend, {})
        self.content = nn.Linear(config.width, 6 + 5)
        self.goals = nn.Linear(config.width, GOALS)
        vocabulary = Vocabulary(config.vocabulary, config.max_words)
        words = torch.stack([vocabulary.encode(text) for text in INSTRUCTIONS])
        self.register_buffer('words', words, persistent=False)
        self.tokens = ActionTokens(tabletop_action(), config.bins)

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
        batch = {n: torch.from_numpy(value[rows]).to(device) for n, value in frames.items()}
        labels = batch['labels'][torch.arange(len(rows), device=device)[:, None], tasks]
        actions = self.tokens.encode(labels[..., None, :])
        memory = self.network.encode([batch[view.name] for view in VIEWS])
        logits, scores, goals = self._decode(memory, batch['state'], self.words[tasks], actions)
        parts = {
            **self.action_losses(logits, labels),
            'pointing': pointing_loss(scores, _looked_at(batch['counts'], tasks), mean),
            'content': content_loss(self.content(memory), *_content(batch), mean),
            'goals': goals_loss(goals, batch['state'], batch['places'][:, 0], tasks),
        }
        weights = {'pointing': 0.3}
        total = torch.stack([weights.get(name, 1.0) * part for name, part in parts.items()]).sum()
        return {'loss': total, **parts}

    def action_losses(self, logits: Tensor, labels: Tensor) -> Losses:
        """Return the losses of ``(B, I, T, bins)`` that need no head of training."""
        targets = soft_targets(
            labels, self.tokens.low, self.tokens.width, self.tokens.bins, sigma=2.0
        )
        return {
            'tokens': token_loss(logits, targets),
            'expectation': expectation_loss(logits, targets),
        }

    def _decode(
        self, memory: Tensor, state: Tensor, words: Tensor, actions: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return logits, the scores ``(B, I, 2, T, N)`` of two pointing heads, and goals."""
        config = self.network.config
        x = self.network.embed(state, words, actions[..., :-1])
        scores = goals = x
        for layer, block in enumerate(self.network.decoder_blocks):
            cache = block.memory_cache(memory)
            if layer == POINTING_LAYER:
                flat = block.attend_self(x)[:, :, config.prompt :].flatten(1, 2)
                scores = block.cross_scores(flat, cache, 2)  # (B, 2, I T, N)
                scores = scores.reshape(*scores.shape[:2], x.shape[1], -1, scores.shape[-1])
                scores = scores.transpose(1, 2)  # (B, I, 2, T, N)
            x = block(x, cache)
            if layer == POINTING_LAYER:
                goals = self.goals(x[:, :, config.prompt :])
        return self.network.logits(x), scores, goals


def sample_tasks(main: np.ndarray, rng: np.random.Generator, count: int) -> Tensor:
    """Return ``(B, count)`` task indices: the one a state came from, then others at random."""
    others = rng.integers(0, len(TASKS) - 1, (len(main), count - 1))
    others += others >= main[:, None]
    return torch.from_numpy(np.concatenate([main[:, None], others], axis=1))


def _looked_at(counts: Tensor, tasks: Tensor) -> Tensor:
    """Return ``(B, I, 2, 1, N)``: where the named block and the disc are."""
    shows = (counts >= SEEN_PIXELS).transpose(1, 2)  # (B, 5, N)
    rows = torch.arange(len(counts), device=counts.device)[:, None]
    block = shows[rows, blocks_of(tasks)]  # (B, I, N)
    disc = shows[:, None, OBJECTS.index(DISC)].expand_as(block)
    return torch.stack((block, disc), dim=2)[:, :, :, None]


def _content(batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Return what each token shows and where: pixels from the token's middle, and metres."""
    most, which = batch['counts'].max(dim=-1)  # (B, N)
    shown = torch.where(most >= SEEN_PIXELS, which + 1, 0)
    view_of, middles, patches = (part.to(shown.device) for part in _token_places())
    rows = torch.arange(len(shown), device=shown.device)[:, None]
    pixels = batch['pixels'][rows, view_of[None], which]  # (B, N, 2)
    places = batch['places'][rows, view_of[None], which]  # (B, N, 3)
    offsets = (pixels - middles) / patches
    return shown, torch.cat((offsets.clamp(-3, 3), places * 5), dim=-1)


def _token_places() -> tuple[Tensor, Tensor, Tensor]:
    views, middles, patches = [], [], []
    for index, view in enumerate(VIEWS):
        rows, columns = torch.meshgrid(
            torch.arange(view.grid[0]), torch.arange(view.grid[1]), indexing='ij'
        )
        middle = torch.stack((columns.flatten(), rows.flatten()), dim=-1) + 0.5
        middles.append(middle * view.patch - 0.5)
        views.append(torch.full((view.tokens,), index))
        patches.append(torch.full((view.tokens, 1), float(view.patch)))
    return torch.cat(views), torch.cat(middles), torch.cat(patches)
