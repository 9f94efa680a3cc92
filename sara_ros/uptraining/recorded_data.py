"""Losses and errors of a model that was trained on a recording."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

import numpy as np
import torch
from torch import nn

from sara_ros.core import ParameterError
from sara_ros.policies.checkpoint import StoredCheckpoint
from sara_ros.policies.rt2_network import RT2Network
from sara_ros.training.lerobot import Episode, LeRobotRecording
from sara_ros.training.loop import LossFunction
from sara_ros.training.recorded import RecordedConfig, RecordedLearner, videos_of
from sara_ros.training.recorded_split import split
from sara_ros.uptraining.data import DataOptions
from sara_ros.uptraining.distributed import ALONE, Processes
from sara_ros.uptraining.measure import ErrorSum, HeldOutError, batches, token_actions

_BATCH: Final = 50


class RecordedData:
    """See :class:`TrainingData`; the held-out frames are the episodes the model states."""

    def __init__(
        self,
        stored: StoredCheckpoint,
        network: RT2Network,
        options: DataOptions,
        here: Processes = ALONE,
    ) -> None:
        """
        Decode the recording.

        :raises ParameterError: when there is none, or it is not the one of the model.
        """
        checkpoint = stored.checkpoint
        spec, name = checkpoint.spec, checkpoint.training['recording']
        if options.recording is None:
            raise ParameterError(
                f"model '{spec.model_id}' was trained on the recording '{name}'; give its folder "
                'with --data'
            )
        recording = LeRobotRecording(options.recording, checkpoint.training.get('cameras', ()))
        train = _episodes(recording, checkpoint.training['episodes'])
        held_out = _episodes(recording, checkpoint.metrics['held_out_episodes'])
        if 'held_out_from_frame' in checkpoint.metrics:
            train, held_out = split(train, 1)
        config = RecordedConfig(spec.model_id, options.recording, options.models_dir, options.work)
        self._learner = RecordedLearner(config, spec, recording, train)
        if self._learner.network.config != network.config:
            raise ParameterError(
                f"{options.recording} is not the recording '{name}' that model "
                f"'{spec.model_id}' was trained on: its action ranges differ"
            )
        self._learner.to(here.device)
        self._spec, self._here = spec, here
        videos = [videos_of(recording, episode) for episode in held_out]
        self._images = [
            np.concatenate([each[view] for each in videos]) for view in recording.cameras
        ]
        self._states = np.concatenate([episode.states for episode in held_out])
        self._actions = np.concatenate([episode.actions for episode in held_out])
        self._words = torch.cat([
            self._learner.encoded(episode.instruction).expand(len(episode.actions), -1)
            for episode in held_out
        ])  # fmt: skip
        self._facts = {
            'recording': name,
            'episodes': [episode.index for episode in train],
            'frames': sum(len(episode.actions) for episode in train),
        }

    @property
    def facts(self) -> Mapping[str, Any]:
        """See :class:`TrainingData`."""
        return self._facts

    def learner(self, network: nn.Module) -> Any:
        """See :class:`TrainingData`; it has no further heads, and holds one network at a time."""
        self._learner.network = cast('RT2Network', network)
        return self._learner

    def losses(self, learner: Any) -> LossFunction:
        """See :class:`TrainingData`."""
        return lambda rng, batch: learner.losses(rng, batch, self._here.part(batch))  # type: ignore[no-any-return]

    def encode(self, network: nn.Module, rng: np.random.Generator, batch: int) -> object:
        """See :class:`TrainingData`."""
        images = self._learner.images(rng, batch, self._here.part(batch))
        return cast('RT2Network', network).encode(images)

    @torch.inference_mode()
    def measure(self, network: nn.Module) -> HeldOutError:
        """See :class:`TrainingData`."""
        rt2, learner = cast('RT2Network', network.eval()), self._learner
        errors = ErrorSum(self._spec.action)
        for rows in batches(len(self._states), _BATCH):
            images, state = (
                [torch.from_numpy(images[rows]) for images in self._images],
                torch.from_numpy(self._states[rows]),
            )
            wanted = torch.from_numpy(self._actions[rows])
            words, coded = self._words[rows], learner.targets.coded(wanted, state)
            tokens = learner.tokens.encode(coded[:, None])[:, None]
            logits = rt2(images, state, words[:, None], tokens)[:, 0]
            made = rt2.generate(images, state, words)
            actions = token_actions(made, state, learner.tokens, rt2.config, self._spec.action)
            errors.add(learner.action_losses(logits, coded), actions, wanted)
        return errors.result()


def _episodes(recording: LeRobotRecording, wanted: Any) -> list[Episode]:
    missing = sorted(set(wanted) - set(recording.indices()))
    if missing:
        raise ParameterError(
            f'{recording.root} lacks episode {missing[0]}, which the model was trained or '
            'measured on'
        )
    return [recording.episode(index) for index in wanted]


__all__ = ['RecordedData']
