"""What a policy that is trained on a recording sees, returns and is built of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np

from sara_ros.core import (
    ActionDimension,
    ActionSpec,
    ObservationSpec,
    ParameterError,
    PolicySpec,
)
from sara_ros.core.instructions import words_of
from sara_ros.policies.rt2_config import RT2Config, StateInput, View
from sara_ros.policies.words import Vocabulary
from sara_ros.training.lerobot import Episode, LeRobotRecording
from sara_ros.training.recorded_targets import STATE, Targets, targets_of

VIEW: Final = View('front', 72, 96, 8)
"""What every camera is shrunk to."""


def recorded_spec(
    model_id: str, recording: LeRobotRecording, train: Sequence[Episode], margin: float
) -> PolicySpec:
    """
    Describe a policy from cameras and joint positions to the recorded actions.

    Recordings do not state units, so the spec leaves them open, but for displacements.

    :raises ParameterError: for an episode that does not say what is to be done.
    """
    silent = next((each for each in train if not words_of(each.instruction)), None)
    if silent is not None:
        raise ParameterError(
            f'{recording.root}: episode {silent.index} has the instruction '
            f"'{silent.instruction}'; give its task words in {recording.tasks_path}"
        )
    joints, names = recording.names('observation.state'), recording.names('action')
    targets = targets_in(recording)
    low, high = targets.ranges(
        *widened(np.concatenate([episode.actions for episode in train]), margin)
    )
    dimensions = tuple(
        ActionDimension(name, unit, float(a), float(b))
        for name, unit, a, b in zip(names, targets.units(names), low, high, strict=True)
    )
    period = 1 / recording.fps
    return PolicySpec(
        model_id=model_id,
        kind='rt2',
        observations=(
            *(
                ObservationSpec(name, 'image', (None, None, 3), 'rgb8', '', 6 * period)
                for name in recording.cameras
            ),
            ObservationSpec(STATE, 'joint_positions', (len(joints),), '', '', 6 * period, joints),
        ),
        action=ActionSpec(targets.kind, dimensions, recording.action_frame, recording.fps),
        attention={'backend': 'softmax', 'options': {}},
        instructions=tuple(sorted({episode.instruction for episode in train})),
    )


def targets_in(recording: LeRobotRecording) -> Targets:
    """Return what the actions of a recording are."""
    return targets_of(recording.names('observation.state'), recording.names('action'))


def recorded_config(
    spec: PolicySpec, targets: Targets, low: Sequence[float], high: Sequence[float]
) -> RT2Config:
    """Return the architecture for ``spec``, with ``low`` and ``high`` of what tokens say."""
    return RT2Config(
        views=tuple(
            replace(VIEW, name=need.name) for need in spec.observations if need.kind == 'image'
        ),
        state=(StateInput(STATE, len(spec.observation(STATE).names)),),
        vocabulary=Vocabulary.of(spec.instructions).words,
        max_words=max(8, *(len(words_of(each)) for each in spec.instructions)),
        actions=len(spec.action.dimensions),
        width=96,
        heads=4,
        encoder_layers=3,
        decoder_layers=2,
        decode='expectation',
        relative_to=targets.relative_to,
        token_low=tuple(float(value) for value in low),
        token_high=tuple(float(value) for value in high),
    )


def widened(values: Any, margin: float) -> tuple[Any, Any]:
    """Return ranges from the 0.2 % to the 99.8 % quantile, widened and never empty."""
    low, high = np.quantile(values, (0.002, 0.998), axis=0)
    room = np.maximum((high - low) * margin, 0.01)
    return low - room, high + room
