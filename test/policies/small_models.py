"""Tiny models with random weights for tests."""

from __future__ import annotations

from dataclasses import replace
import json
from pathlib import Path

import torch

from sara_ros.core import ActionSpec, ObservationSpec, PolicySpec
from sara_ros.policies import checkpoint as checkpoints
from sara_ros.policies.checkpoint import Checkpoint
from sara_ros.policies.loading import build_network
from sara_ros.policies.pct_config import PCTConfig
from sara_ros.policies.rt2_config import RT2Config, StateInput, View
from sara_ros.policies.words import Vocabulary
from sara_ros.sim.action_space import tabletop_action

INSTRUCTIONS = ('reach the red block', 'push the blue block')
STATE = (StateInput('ee_pose', 7), StateInput('finger_joint', 1))
WORDS = Vocabulary.of(INSTRUCTIONS).words


def action(horizon: int = 1) -> ActionSpec:
    """Return an end-effector action with asymmetric ranges within the tabletop's."""
    whole = tabletop_action()
    dimensions = tuple(
        replace(dimension, low=dimension.low * index / 8)
        for index, dimension in enumerate(whole.dimensions)
    )
    return replace(whole, dimensions=dimensions, horizon=horizon)


def spec(kind: str, model_id: str = 'tiny', horizon: int = 1, history: int = 1) -> PolicySpec:
    """Return the spec of a tiny model."""
    image = ObservationSpec('front', 'image', (None, None, 3), 'rgb8')
    colors = ('red', 'green', 'blue')
    points = ObservationSpec('points', 'points', (None, 6), 'm', 'base_link', names=colors)
    first = image if kind == 'rt2' else points
    return PolicySpec(
        model_id=model_id,
        kind=kind,
        observations=(
            first,
            ObservationSpec('ee_pose', 'pose', (7,), 'm', 'base_link'),
            ObservationSpec('finger_joint', 'joint_positions', (1,), 'm', names=('finger_joint',)),
        ),
        action=action(horizon),
        attention={'backend': 'softmax', 'options': {}},
        history=history,
        instructions=INSTRUCTIONS,
    )


def rt2_config(horizon: int = 1, **changes: object) -> RT2Config:
    """Return the architecture of a tiny RT-2 variant."""
    config = RT2Config(
        views=(View('front', 16, 24, 8),), state=STATE, vocabulary=WORDS, actions=8 * horizon,
        width=32, heads=2, encoder_layers=2, decoder_layers=2,
    )  # fmt: skip
    return replace(config, **changes)


def pct_config(**changes: object) -> PCTConfig:
    """Return the architecture of a tiny PCT variant."""
    config = PCTConfig(
        cloud='points', features=3, crop_min=(0.0, -0.5, -0.1), crop_max=(1.0, 0.5, 0.5),
        voxel_m=0.02, points=64, pose='ee_pose', state=STATE, vocabulary=WORDS, actions=8,
        width=16, layers=4, head_width=32, head_layers=1, pointers=2,
    )  # fmt: skip
    return replace(config, **changes)


def make(models_dir: Path, kind: str, model_id: str = 'tiny', **changes: object) -> Checkpoint:
    """Write a tiny model with weights from a fixed seed and return its description."""
    horizon = int(changes.pop('horizon', 1))
    config = rt2_config(horizon, **changes) if kind == 'rt2' else pct_config(**changes)
    model = json.loads(json.dumps(config.to_dict()))
    history = int(model.get('history', 1))
    checkpoint = Checkpoint(spec(kind, model_id, horizon, history), model)
    torch.manual_seed(0)
    checkpoints.save(models_dir, checkpoint, build_network(checkpoint).state_dict())
    return checkpoint
