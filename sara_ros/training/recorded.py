"""Train the RT-2 variant on a recording of a real robot with absolute joint targets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import Progress
import torch
from torch import Tensor, nn

from sara_ros.core import (
    ActionDimension,
    ActionSpec,
    Observation,
    ObservationSpec,
    ParameterError,
    PolicySpec,
)
from sara_ros.policies import checkpoint as checkpoints
from sara_ros.policies.action_tokens import ActionTokens
from sara_ros.policies.checkpoint import Checkpoint
from sara_ros.policies.rt2 import RT2Policy
from sara_ros.policies.rt2_config import RT2Config, StateInput, View
from sara_ros.policies.rt2_network import RT2Network
from sara_ros.policies.words import Vocabulary
from sara_ros.training.baselines import baseline_errors
from sara_ros.training.lerobot import Episode, LeRobotRecording
from sara_ros.training.loop import Losses, run_loop, seed_everything
from sara_ros.training.losses import expectation_loss, soft_targets, token_loss
from sara_ros.training.optimiser import Recipe
from sara_ros.training.record import finish_record

VIEW = View('front', 72, 96, 8)
STATE = 'joint_positions'


@dataclass(frozen=True, slots=True)
class RecordedConfig:
    """
    One training run on a recording.

    :param recording: folder in LeRobot v2.1 layout.
    :param held_out: number of episodes, the last ones, that are not trained on.
    :param margin: share by which the ranges of training actions are widened on each side.
    :param shift_px: largest random shift of training images.
    """

    model_id: str
    recording: Path
    models_dir: Path
    work: Path
    camera: str = ''
    held_out: int = 2
    recipe: Recipe = field(default_factory=lambda: Recipe(steps=900, batch=24))
    margin: float = 0.1
    shift_px: int = 3
    threads: int = 2
    command: str = ''


def train_recorded(config: RecordedConfig, progress: Progress | None = None) -> Path:
    """
    Train, measure on the held-out episodes, and return the model folder.

    :raises ParameterError: for a recording that is not complete, see :class:`LeRobotRecording`.
    """
    torch.set_num_threads(config.threads)
    seed_everything(config.recipe.seed)
    recording = LeRobotRecording(config.recording, config.camera)
    indices = recording.indices()
    if not 0 < config.held_out < len(indices):
        raise ParameterError(f'held_out is {config.held_out}; there are {len(indices)} episodes')
    episodes = [recording.episode(index) for index in indices]
    train, held_out = episodes[: -config.held_out], episodes[-config.held_out :]
    spec = recorded_spec(config.model_id, recording, train, config.margin)
    # Before the training, because a video that is missing must not be found after it.
    videos = [video_of(recording, episode) for episode in held_out]
    learner = RecordedLearner(config, spec, recording, train)
    optimiser = run_loop(
        learner,
        learner.losses,
        config.recipe,
        config.work,
        settings={'held_out': config.held_out, 'margin': config.margin},
        save_every=100,
        progress=progress,
    )
    learner.load_state_dict(optimiser.average)
    policy = RT2Policy(spec, learner.network)
    metrics = {
        'held_out_episodes': [episode.index for episode in held_out],
        'held_out_frames': sum(len(episode.actions) for episode in held_out),
        'mean_absolute_error': held_out_error(policy, held_out, videos),
        'baselines': baseline_errors(train, held_out),
    }
    recipe = {**asdict(config.recipe), 'betas': list(config.recipe.betas)}
    training = {
        'command': config.command,
        'recording': config.recording.name,
        'episodes': [episode.index for episode in train],
        'recipe': recipe,
    }
    checkpoint = Checkpoint(
        spec, learner.network.config.to_dict(), training=training, metrics=metrics
    )
    folder = checkpoints.save(config.models_dir, checkpoint, learner.network.state_dict())
    finish_record(config.work, config.model_id)
    return folder


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
        self._states = np.concatenate([episode.states for episode in train])
        self._actions = np.concatenate([episode.actions for episode in train])
        videos = [video_of(recording, episode) for episode in train]
        self._images = np.concatenate(videos)
        gaps = self._actions - self._states
        low, high = _widened(gaps, config.margin)
        network = recorded_config(spec, low, high)
        self.network = RT2Network(network, 'softmax', {})
        self.network.state_mean.copy_(torch.from_numpy(self._states.mean(axis=0)))
        self.network.state_std.copy_(torch.from_numpy(self._states.std(axis=0).clip(min=0.02)))
        ranges = {'low': network.token_low, 'high': network.token_high}
        self.tokens = ActionTokens(spec.action, network.bins, **ranges)
        vocabulary = Vocabulary(network.vocabulary, network.max_words)
        self.register_buffer('words', vocabulary.encode(spec.instructions[0]), persistent=False)

    def losses(self, rng: np.random.Generator, batch: int, part: slice = slice(None)) -> Losses:
        """Draw frames and return the losses on the tokens of a ``part`` of them."""
        rows, images = self._drawn(rng, batch, part)
        state = torch.from_numpy(self._states[rows]).to(images.device)
        values = torch.from_numpy(self._actions[rows]).to(images.device) - state  # (B, A)
        tokens = self.tokens.encode(values[:, None])[:, None]  # (B, 1, A)
        words = self.words.expand(len(rows), 1, -1)
        logits = self.network([images], state, words, tokens)[:, 0]
        return self.action_losses(logits, values)

    def action_losses(self, logits: Tensor, values: Tensor) -> Losses:
        """Return the losses of ``(B, A, bins)`` for values ``(B, A)`` relative to the state."""
        targets = soft_targets(
            values, self.tokens.low, self.tokens.width, self.tokens.bins, sigma=2.0
        )
        parts = {
            'tokens': token_loss(logits, targets),
            'expectation': expectation_loss(logits, targets),
        }
        return {'loss': parts['tokens'] + 3 * parts['expectation'], **parts}

    def images(self, rng: np.random.Generator, batch: int, part: slice = slice(None)) -> Tensor:
        """Draw images ``(B, H, W, 3)`` as :meth:`losses` does."""
        return self._drawn(rng, batch, part)[1]

    def _drawn(self, rng: np.random.Generator, batch: int, part: slice) -> tuple[Any, Tensor]:
        """Draw the whole batch; return which rows are in the part, and their shifted images."""
        rows = rng.integers(0, len(self._images), batch)
        corners = rng.integers(0, 2 * self._shift_px + 1, (batch, 2))
        images = _shifted(self._images[rows[part]], corners[part], self._shift_px)
        return rows[part], torch.from_numpy(images).to(self.words.device)


def recorded_spec(
    model_id: str, recording: LeRobotRecording, train: Sequence[Episode], margin: float
) -> PolicySpec:
    """
    Describe a policy from the front camera and joint positions to joint positions.

    Recordings do not state units, so the spec leaves them open.
    """
    joints, names = recording.names('observation.state'), recording.names('action')
    if len(joints) != len(names):
        raise ParameterError(
            f'{recording.root}: {len(joints)} state and {len(names)} action dimensions; actions '
            'relative to the state need as many'
        )
    low, high = _widened(np.concatenate([episode.actions for episode in train]), margin)
    dimensions = tuple(
        ActionDimension(name, '', float(a), float(b))
        for name, a, b in zip(names, low, high, strict=True)
    )
    period = 1 / recording.fps
    return PolicySpec(
        model_id=model_id,
        kind='rt2',
        observations=(
            ObservationSpec('front', 'image', (None, None, 3), 'rgb8', '', 6 * period),
            ObservationSpec(STATE, 'joint_positions', (len(joints),), '', '', 6 * period, joints),
        ),
        action=ActionSpec('joint_positions', dimensions, '', recording.fps),
        attention={'backend': 'softmax', 'options': {}},
        instructions=tuple(sorted({episode.instruction for episode in train})),
    )


def recorded_config(spec: PolicySpec, low: Sequence[float], high: Sequence[float]) -> RT2Config:
    """Return the architecture for ``spec``, with tokens relative to the joint positions."""
    return RT2Config(
        views=(VIEW,),
        state=(StateInput(STATE, len(spec.observation(STATE).names)),),
        vocabulary=Vocabulary.of(spec.instructions).words,
        actions=len(spec.action.dimensions),
        width=96,
        heads=4,
        encoder_layers=3,
        decoder_layers=2,
        decode='expectation',
        relative_to=STATE,
        token_low=tuple(float(value) for value in low),
        token_high=tuple(float(value) for value in high),
    )


def held_out_error(policy: RT2Policy, held_out: Sequence[Episode], videos: Sequence[Any]) -> float:
    """
    Return the mean absolute action error of ``policy`` on every held-out frame.

    :param videos: the images of each episode, as :func:`video_of` returns them.
    """
    errors: list[Any] = []
    for episode, images in zip(held_out, videos, strict=True):
        for image, state, action in zip(images, episode.states, episode.actions, strict=True):
            seen = Observation.of(episode.instruction, front=image, joint_positions=state)
            errors.append(np.abs(policy.act(seen).values[0] - action))
    return float(np.mean(errors))


def video_of(recording: LeRobotRecording, episode: Episode) -> Any:
    """
    Return the images of ``episode`` as the network takes them, ``(T, H, W, 3)``.

    :raises ParameterError: when there are not as many as rows.
    """
    images = recording.images(episode.index, VIEW.height, VIEW.width)
    if len(images) != len(episode.actions):
        raise ParameterError(
            f'{recording.root}: episode {episode.index} has {len(images)} video frames and '
            f'{len(episode.actions)} rows'
        )
    return images


def _widened(values: Any, margin: float) -> tuple[Any, Any]:
    """Return ranges from the 0.2 % to the 99.8 % quantile, widened and never empty."""
    low, high = np.quantile(values, (0.002, 0.998), axis=0)
    room = np.maximum((high - low) * margin, 0.01)
    return low - room, high + room


def _shifted(images: Any, corners: Any, limit: int) -> Any:
    padded = np.pad(images, ((0, 0), (limit, limit), (limit, limit), (0, 0)), mode='edge')
    height, width = images.shape[1:3]
    return np.stack([
        image[y : y + height, x : x + width]
        for image, (y, x) in zip(padded, corners, strict=True)
    ])  # fmt: skip


__all__ = [
    'RecordedConfig', 'RecordedLearner', 'held_out_error', 'recorded_spec', 'train_recorded',
    'video_of',
]  # fmt: skip
