"""Train the RT-2 variant on a recording of a robot: joint targets or displacements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import Progress
import torch
from torch import Tensor, nn

from sara_ros.core import Observation, ParameterError, PolicySpec
from sara_ros.policies import checkpoint as checkpoints
from sara_ros.policies.action_tokens import ActionTokens
from sara_ros.policies.checkpoint import Checkpoint
from sara_ros.policies.rt2 import RT2Policy
from sara_ros.policies.rt2_network import RT2Network
from sara_ros.policies.words import Vocabulary
from sara_ros.training.baselines import baseline_errors
from sara_ros.training.counts import check_counts
from sara_ros.training.lerobot import Episode, LeRobotRecording
from sara_ros.training.loop import Losses, run_loop, seed_everything
from sara_ros.training.losses import expectation_loss, soft_targets, token_loss
from sara_ros.training.optimiser import Recipe
from sara_ros.training.record import finish_record
from sara_ros.training.recorded_spec import (
    VIEW,
    recorded_config,
    recorded_spec,
    targets_in,
    widened,
)
from sara_ros.training.recorded_split import split

_BATCH = 50


@dataclass(frozen=True, slots=True)
class RecordedConfig:
    """
    One training run on a recording.

    :param recording: folder in LeRobot layout.
    :param cameras: those of the recording to see with; all when empty.
    :param held_out: number of episodes, the last ones, that are not trained on; see
        :func:`recorded_split.split` for recordings of few.
    :param margin: share by which the ranges of training actions are widened on each side.
    :param shift_px: largest random shift of training images.
    """

    model_id: str
    recording: Path
    models_dir: Path
    work: Path
    cameras: tuple[str, ...] = ()
    held_out: int = 2
    recipe: Recipe = field(default_factory=lambda: Recipe(steps=900, batch=24))
    margin: float = 0.1
    shift_px: int = 3
    threads: int = 2
    command: str = ''

    def __post_init__(self) -> None:
        """Check the threads."""
        check_counts(self, 'threads')


def train_recorded(config: RecordedConfig, progress: Progress | None = None) -> Path:
    """
    Train, measure on the held-out episodes, and return the model folder.

    :raises ParameterError: for a recording that is not complete, see :class:`LeRobotRecording`.
    """
    torch.set_num_threads(config.threads)
    seed_everything(config.recipe.seed)
    recording = LeRobotRecording(config.recording, config.cameras)
    episodes = [recording.episode(index) for index in recording.indices()]
    train, held_out = split(episodes, config.held_out)
    spec = recorded_spec(config.model_id, recording, train, config.margin)
    # Before the training, because a video that is missing must not be found after it.
    videos = [videos_of(recording, episode) for episode in held_out]
    learner = RecordedLearner(config, spec, recording, train)
    data = fingerprint(recording, episodes)
    optimiser = run_loop(
        learner,
        learner.losses,
        config.recipe,
        config.work,
        settings={
            'recording': data,
            'held_out': config.held_out,
            'margin': config.margin,
            'cameras': list(recording.cameras.values()),
        },
        save_every=100,
        progress=progress,
    )
    learner.load_state_dict(optimiser.average)
    checkpoints.round_as_stored(learner.network)
    policy = RT2Policy(spec, learner.network)
    metrics = {
        'held_out_episodes': [episode.index for episode in held_out],
        'held_out_frames': sum(len(episode.actions) for episode in held_out),
        'mean_absolute_error': held_out_error(policy, held_out, videos),
        'baselines': baseline_errors(train, held_out, targets_in(recording)),
    }
    if held_out[0].first:
        metrics['held_out_from_frame'] = held_out[0].first
    recipe = {**asdict(config.recipe), 'betas': list(config.recipe.betas)}
    training = {
        'command': config.command,
        'recording': config.recording.name,
        'cameras': list(recording.cameras.values()),
        'episodes': [episode.index for episode in train],
        'recipe': recipe,
    }
    checkpoint = Checkpoint(
        spec, learner.network.config.to_dict(), training=training, metrics=metrics
    )
    folder = checkpoints.save(config.models_dir, checkpoint, learner.network.state_dict())
    stored = checkpoints.read(config.models_dir, config.model_id)
    finish_record(config.work, stored, {'recording': config.recording.name, **data})
    return folder


def fingerprint(recording: LeRobotRecording, episodes: Sequence[Episode]) -> dict[str, Any]:
    """Return what tells a recording from others wherever it is: all of it but its videos."""
    digest = hashlib.sha256((recording.root / 'meta' / 'info.json').read_bytes())
    for episode in episodes:
        digest.update(f'{episode.index} {episode.states.shape} {episode.instruction}'.encode())
        digest.update(episode.states.tobytes())
        digest.update(episode.actions.tobytes())
    return {
        'episodes': len(episodes),
        'frames': sum(len(episode.actions) for episode in episodes),
        'sha256': digest.hexdigest(),
    }


class RecordedLearner(nn.Module):
    """The network, and the training episodes in memory."""

    words: Tensor

    def __init__(
        self,
        config: RecordedConfig,
        spec: PolicySpec,
        recording: LeRobotRecording,
        train: Sequence[Episode],
    ) -> None:
        """Decode the videos and build the network."""
        super().__init__()
        self._shift_px = config.shift_px
        self.targets = targets_in(recording)
        self._states = np.concatenate([episode.states for episode in train])
        self._actions = np.concatenate([episode.actions for episode in train])
        videos = [videos_of(recording, episode) for episode in train]
        self._images = [
            np.concatenate([each[view] for each in videos]) for view in recording.cameras
        ]
        coded = self.targets.coded(self._actions, self._states)
        low, high = self.targets.ranges(*widened(coded, config.margin))
        network = recorded_config(spec, self.targets, low, high)
        self.network = RT2Network(network, 'softmax', {})
        self.network.state_mean.copy_(torch.from_numpy(self._states.mean(axis=0)))
        self.network.state_std.copy_(torch.from_numpy(self._states.std(axis=0).clip(min=0.02)))
        ranges = {'low': network.token_low, 'high': network.token_high}
        self.tokens = ActionTokens(spec.action, network.bins, **ranges)
        self._told = np.concatenate([
            np.full(len(episode.actions), spec.instructions.index(episode.instruction))
            for episode in train
        ])  # fmt: skip
        words = torch.stack([self.encoded(each) for each in spec.instructions])
        self.register_buffer('words', words, persistent=False)

    def encoded(self, instruction: str) -> Tensor:
        """Return the words ``(max_words,)`` of an instruction."""
        config = self.network.config
        return Vocabulary(config.vocabulary, config.max_words).encode(instruction)

    def losses(self, rng: np.random.Generator, batch: int, part: slice = slice(None)) -> Losses:
        """Draw frames and return the losses on the tokens of a ``part`` of them."""
        rows, images = self._drawn(rng, batch, part)
        state = torch.from_numpy(self._states[rows]).to(self.words.device)
        actions = torch.from_numpy(self._actions[rows]).to(self.words.device)
        values = self.targets.coded(actions, state)  # (B, A)
        tokens = self.tokens.encode(values[:, None])[:, None]  # (B, 1, A)
        words = self.words[torch.from_numpy(self._told[rows])][:, None]
        logits = self.network(images, state, words, tokens)[:, 0]
        return self.action_losses(logits, values)

    def action_losses(self, logits: Tensor, values: Tensor) -> Losses:
        """Return the losses of ``(B, A, bins)`` for values ``(B, A)`` as tokens say them."""
        targets = soft_targets(
            values, self.tokens.low, self.tokens.width, self.tokens.bins, sigma=2.0
        )
        parts = {
            'tokens': token_loss(logits, targets),
            'expectation': expectation_loss(logits, targets),
        }
        return {'loss': parts['tokens'] + 3 * parts['expectation'], **parts}

    def images(
        self, rng: np.random.Generator, batch: int, part: slice = slice(None)
    ) -> list[Tensor]:
        """Draw images ``(B, H, W, 3)`` of each camera as :meth:`losses` does."""
        return self._drawn(rng, batch, part)[1]

    def _drawn(
        self, rng: np.random.Generator, batch: int, part: slice
    ) -> tuple[Any, list[Tensor]]:
        """Draw the whole batch; return which rows are in the part, and their shifted images."""
        rows = rng.integers(0, len(self._states), batch)
        corners = rng.integers(0, 2 * self._shift_px + 1, (batch, 2))
        rows, corners = rows[part], corners[part]
        shifted = [_shifted(images[rows], corners, self._shift_px) for images in self._images]
        return rows, [torch.from_numpy(images).to(self.words.device) for images in shifted]


def held_out_error(policy: RT2Policy, held_out: Sequence[Episode], videos: Sequence[Any]) -> float:
    """
    Return the mean absolute action error of ``policy`` on every held-out frame.

    :param videos: the images of each episode, as :func:`videos_of` returns them.
    """
    errors: list[Any] = []
    for episode, images in zip(held_out, videos, strict=True):
        seen = [
            Observation.of(
                episode.instruction, joint_positions=state,
                **{view: video[row] for view, video in images.items()},
            )
            for row, state in enumerate(episode.states)
        ]  # fmt: skip
        for first in range(0, len(seen), _BATCH):
            part = seen[first : first + _BATCH]
            chunks = RT2Policy.act_batch([policy] * len(part), part)
            wanted = episode.actions[first : first + _BATCH]
            errors += [
                np.abs(chunk.values[0] - action)
                for chunk, action in zip(chunks, wanted, strict=True)
            ]
    return float(np.mean(errors))


def videos_of(recording: LeRobotRecording, episode: Episode) -> dict[str, Any]:
    """
    Return the images of ``episode`` by camera as the network takes them, ``(T, H, W, 3)``.

    :raises ParameterError: when there are not as many as rows.
    """
    return {view: _video_of(recording, episode, view) for view in recording.cameras}


def _video_of(recording: LeRobotRecording, episode: Episode, view: str) -> Any:
    images = recording.images(episode.index, VIEW.height, VIEW.width, view)
    rows = episode.rows or len(episode.actions)
    if len(images) != rows:
        raise ParameterError(
            f'{recording.root}: episode {episode.index} has {len(images)} video frames and '
            f"{rows} rows; the camera is '{recording.cameras[view]}'"
        )
    return images[episode.first : episode.first + len(episode.actions)]


def _shifted(images: Any, corners: Any, limit: int) -> Any:
    padded = np.pad(images, ((0, 0), (limit, limit), (limit, limit), (0, 0)), mode='edge')
    height, width = images.shape[1:3]
    return np.stack([
        image[y : y + height, x : x + width]
        for image, (y, x) in zip(padded, corners, strict=True)
    ])  # fmt: skip


__all__ = [
    'RecordedConfig', 'RecordedLearner', 'fingerprint', 'held_out_error', 'train_recorded',
    'videos_of',
]  # fmt: skip
