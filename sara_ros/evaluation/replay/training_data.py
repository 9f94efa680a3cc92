"""What a model's training data has to do with a recording."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sara_ros.core import ParameterError, PolicySpec
from sara_ros.evaluation.replay.messages import name_of
from sara_ros.evaluation.replay.places import Place
from sara_ros.training.lerobot import LeRobotRecording


@dataclass(frozen=True, slots=True)
class TrainingMean:
    """
    What the baseline ``training_mean`` rests on.

    :param origin: where ``values`` come from.
    :param values: mean action ``(dimensions,)``; None: that of the recording takes its place.
    :param remark: says so where it is not the mean of the training episodes.
    """

    origin: str = ''
    values: NDArray[np.float64] | None = None
    remark: str = ''

    @property
    def given(self) -> tuple[str, NDArray[np.float64]] | None:
        """Origin and values; None without values."""
        return None if self.values is None else (self.origin, self.values)


def training_mean(
    place: Place, spec: PolicySpec, training: Mapping[str, Any], given: Mapping[str, float]
) -> TrainingMean:
    """
    Return the mean of the map, or of those training episodes that are in the folder.

    :param training: what the checkpoint says of its training; empty where nothing was trained.
    :param given: mean action by dimension, of the map.
    :raises ParameterError: for a dimension that the policy does not have.
    """
    names = spec.action.names
    if given:
        unknown = [name for name in given if name not in names]
        if unknown:
            raise ParameterError(f"training_mean: the policy has no dimension '{unknown[0]}'")
        values = np.array([given.get(name, np.nan) for name in names])
        return TrainingMean('the map', values, 'training_mean is that of the map')
    folder, model = name_of(place.path), spec.model_id
    if not training.get('recording'):
        return _own(f"'{model}' was not trained on a recording")
    if place.episode is None or training['recording'] != folder:
        return _own(f"'{model}' was trained on another one, {training['recording']}")
    recording = LeRobotRecording(place.path)
    if recording.names('action') != names:
        return _own(f"the actions of {folder} are not those of '{model}'")
    trained, there = training.get('episodes'), recording.indices()
    episodes = [each for each in there if isinstance(trained, list) and each in trained]
    if not episodes:
        return _own(f"none of the episodes that '{model}' was trained on is in {folder}")
    rows = np.concatenate([recording.episode(index).actions for index in episodes])
    return TrainingMean('the training episodes that are here', rows.mean(axis=0, dtype=float))


def trained_on(place: Place, spec: PolicySpec, training: Mapping[str, Any]) -> str:
    """Return a remark where the episode at ``place`` is one that the model was trained on."""
    episodes = training.get('episodes')
    there = place.episode is not None and training.get('recording') == name_of(place.path)
    if not (there and isinstance(episodes, list) and place.episode in episodes):
        return ''
    return f"'{spec.model_id}' was trained on this episode; the error says nothing about others"


def _own(why: str) -> TrainingMean:
    return TrainingMean(remark=f'training_mean is the mean of this very recording: {why}')
