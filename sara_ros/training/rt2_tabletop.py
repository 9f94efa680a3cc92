"""Behaviour cloning of the RT-2 variant on tabletop frames, with training-only losses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn

from sara_ros.policies.action_tokens import ActionTokens
from sara_ros.policies.rt2 import action_tokens
from sara_ros.policies.rt2_config import RT2Config, StateInput, View
from sara_ros.policies.rt2_network import RT2Network
from sara_ros.policies.words import Vocabulary
from sara_ros.sim.action_space import RATE_HZ, tabletop_action
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
from sara_ros.training.sentences import INSTRUCTED, Sentences, encoded, sample_words
from sara_ros.training.tabletop_spec import STATE
from sara_ros.training.windows import Window

SEEN_PIXELS: Final = 8
"""Pixels of an object behind a token from which on it counts as shown there."""

POINTING_LAYER: Final = 1

SIGMA: Final = 2 / 256
"""Spread of the soft targets in shares of the range."""


def tabletop_config(decode: str = 'argmax') -> RT2Config:
    """Return the architecture of ``rt2-tabletop``."""
    return RT2Config(
        views=VIEWS,
        state=tuple(StateInput(*part) for part in STATE),
        vocabulary=Vocabulary.of(INSTRUCTIONS).words,
        actions=8,
        decode=decode,
    )


def horizon_of(config: RT2Config) -> int:
    """Return the steps in a chunk of a network for the tabletop."""
    return config.actions // (config.places * len(tabletop_action().dimensions))


class RT2Learner(nn.Module):
    """
    The network and the heads that exist in training only.

    ``window`` says which neighbours of a frame it learns from; with ``exact`` the network reads
    the expert's own tokens instead of scattered ones.
    """

    words: Tensor

    def __init__(
        self, config: RT2Config, backend: str = 'softmax', sentences: Sentences = INSTRUCTED
    ) -> None:
        """Build both with random weights; ``sentences`` are those of each task."""
        super().__init__()
        self.network = RT2Network(config, backend, {})
        self.exact = False
        self.content = nn.Linear(config.width, 6 + 5)
        self.goals = nn.Linear(config.width, GOALS)
        words = encoded(config, sentences)
        self.register_buffer('words', words, persistent=False)
        horizon = horizon_of(config)
        self.tokens = action_tokens(replace(tabletop_action(), horizon=horizon), config)
        every = round(config.frame_spacing_sec * RATE_HZ)
        self.window = Window(config.history, max(every, 1), horizon)

    def batch(self, frames: Frames, rows: Any) -> dict[str, Tensor]:
        """Return frames with their neighbours as tensors on the device of the learner."""
        remembered = (*(view.name for view in self.network.config.views), 'counts')
        return self.window.tensors(frames, rows, remembered, self.words.device)

    def images(self, batch: Mapping[str, Tensor]) -> list[Tensor]:
        """Return what :meth:`RT2Network.encode` takes of a batch."""
        return [batch[view.name] for view in self.network.config.views]

    def labels(self, batch: Mapping[str, Tensor], tasks: Tensor) -> tuple[Tensor, Tensor | None]:
        """
        Return the expert's chunks ``(B, I, horizon, A)`` for tasks ``(B, I)``, and what is known.

        The latter is ``(B, I, horizon)`` bool: steps to come are known for the task that the
        episode is about, as long as the expert drove. ``None``: all are.
        """
        rows = torch.arange(len(tasks), device=tasks.device)[:, None]
        if self.window.horizon == 1:
            return batch['labels'][rows, tasks][:, :, None], None
        chunks = batch['labels'].transpose(1, 2)[rows, tasks]  # (B, I, horizon, A)
        main = tasks == batch['task'][:, None]
        known = batch['known'][:, None] & main[..., None]
        known[..., 0] = True
        return chunks, known

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
        labels, known = self.labels(batch, tasks)
        memory = self.network.encode(self.images(batch))
        actions = self.tokens.encode(labels)
        known_tokens = self._scattered(actions, rows, rng)
        logits, scores, goals = self._decode(
            memory, batch['state'], sample_words(self.words, tasks, rows, rng), known_tokens
        )
        config = self.network.config
        counts = batch['counts'].reshape(len(tasks), -1, len(OBJECTS))  # of all frames
        present = memory[:, -config.image_tokens :]
        shown = _content(batch, counts[:, -config.image_tokens :], config.views)
        parts = {
            **self.action_losses(logits, labels, known, mean),
            'pointing': pointing_loss(scores, _looked_at(counts, tasks), mean),
            'content': content_loss(self.content(present), *shown, mean),
            'goals': goals_loss(goals, batch['state'], batch['places'][:, 0], tasks),
        }
        weights = {'pointing': 0.3}
        total = torch.stack([weights.get(name, 1.0) * part for name, part in parts.items()]).sum()
        return {'loss': total, **parts}

    def action_losses(
        self, logits: Tensor, labels: Tensor, known: Tensor | None = None, mean: Mean = alone
    ) -> Losses:
        """
        Return the losses of ``(B, I, T, symbols)`` that need no head of training.

        :param labels: ``(B, I, horizon, A)``; of those the steps ``known`` count.
        """
        if known is not None:
            each = logits.shape[-2] // known.shape[-1]
            known = known.repeat_interleave(each, dim=-1)  # (B, I, T)
        tokens = self.tokens
        if not isinstance(tokens, ActionTokens):
            targets = tokens.targets(labels, SIGMA)
            return {'tokens': token_loss(logits, targets, known, mean)}
        sigma = SIGMA * tokens.bins
        targets = soft_targets(labels.flatten(-2), tokens.low, tokens.width, tokens.bins, sigma)
        return {
            'tokens': token_loss(logits, targets, known, mean),
            'expectation': expectation_loss(logits, targets, known, mean),
        }

    def _scattered(self, actions: Tensor, rows: Sequence[int], rng: np.random.Generator) -> Tensor:
        """
        Scatter the tokens ``(B, I, T)`` to read as the network is taught to scatter its own.

        The expert's exact zeros tell what it is about to do; the network, which will not hit
        them, must not learn to look for them.
        """
        if self.exact or not isinstance(self.tokens, ActionTokens):
            return actions
        bins, seed = self.tokens.bins, int(rng.integers(1 << 32))
        # Drawn by row, so that processes which share a batch scatter it as one would.
        noise = np.stack([
            np.random.default_rng([seed, int(row)]).normal(0, SIGMA * bins, actions.shape[1:])
            for row in rows
        ])  # fmt: skip
        return (actions + torch.from_numpy(noise.round()).to(actions)).clamp(0, bins - 1)

    def _decode(
        self, memory: Tensor, state: Tensor, words: Tensor, actions: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return logits, the scores ``(B, I, 2, T, N)`` of two pointing heads, and goals."""
        config = self.network.config
        x = self.network.teach(state, words, actions)
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


def _content(
    batch: Mapping[str, Tensor], counts: Tensor, seen: Sequence[View]
) -> tuple[Tensor, Tensor]:
    """Return what each token shows and where: pixels from the token's middle, and metres."""
    most, which = counts.max(dim=-1)  # (B, N)
    shown = torch.where(most >= SEEN_PIXELS, which + 1, 0)
    view_of, middles, patches = (part.to(shown.device) for part in _token_places(seen))
    rows = torch.arange(len(shown), device=shown.device)[:, None]
    pixels = batch['pixels'][rows, view_of[None], which]  # (B, N, 2)
    places = batch['places'][rows, view_of[None], which]  # (B, N, 3)
    offsets = (pixels - middles) / patches
    # A Huber loss of 0.5 is to feel a tenth of a patch and a centimetre.
    return shown, torch.cat((4 * offsets.clamp(-3, 3), places * 20), dim=-1)


def _token_places(seen: Sequence[View]) -> tuple[Tensor, Tensor, Tensor]:
    views, middles, patches = [], [], []
    for index, view in enumerate(seen):
        rows, columns = torch.meshgrid(
            torch.arange(view.grid[0]), torch.arange(view.grid[1]), indexing='ij'
        )
        middle = torch.stack((columns.flatten(), rows.flatten()), dim=-1) + 0.5
        middles.append(middle * view.cell - 0.5)
        views.append(torch.full((view.tokens,), index))
        patches.append(torch.full((view.tokens, 1), float(view.patch)))
    return torch.cat(views), torch.cat(middles), torch.cat(patches)
