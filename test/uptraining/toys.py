"""Tiny tabletop models with their frames, made in a second."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from sara_ros.core import PolicySpec
from sara_ros.policies import checkpoint as checkpoints
from sara_ros.policies.checkpoint import Checkpoint
from sara_ros.policies.loading import build_network
from sara_ros.sim.action_space import tabletop_action
from sara_ros.sim.tasks import INSTRUCTIONS
from sara_ros.training.capture import Capture
from sara_ros.training.collect import CollectConfig, collect_shard
from sara_ros.training.pct_tabletop import pct_config
from sara_ros.training.rt2_tabletop import tabletop_config
from sara_ros.training.scenes import HELD_OUT_SEEDS
from sara_ros.training.tabletop_spec import image_observations, point_observations
from sara_ros.uptraining.settings import UptrainConfig

KINDS = ('rt2', 'pct')
CONFIGS = {
    'rt2': replace(
        tabletop_config('expectation'), width=16, heads=2, encoder_layers=2, decoder_layers=2
    ),
    'pct': replace(
        pct_config(), width=16, layers=2, head_width=16, head_layers=1, pointers=2, points=32
    ),
}


def write_model(models_dir: Path, kind: str, model_id: str = 'toy') -> Checkpoint:
    """Write a softmax model with random weights that states the data of :func:`write_frames`."""
    needs = image_observations() if kind == 'rt2' else point_observations()
    spec = PolicySpec(
        model_id, kind, needs, tabletop_action(),
        attention={'backend': 'softmax', 'options': {}}, instructions=INSTRUCTIONS,
    )  # fmt: skip
    training = {
        'command': 'a test',
        'expert_frames': 30,
        'dagger_rounds': [{'at_step': 1, 'frames': 10, 'verbs': ['push']}],
        'instructions_per_image': 2,
        'recipe': {'seed': 0},
    }
    checkpoint = Checkpoint(spec, CONFIGS[kind].to_dict(), training=training)
    torch.manual_seed(3)
    network = build_network(checkpoint)
    checkpoints.save(models_dir, checkpoint, network.state_dict())
    return checkpoint


def write_frames(work: Path, kind: str) -> None:
    """Collect what the model states, in shards that collecting again would leave alone."""
    capture = Capture(images=False, points=CONFIGS['pct']) if kind == 'pct' else Capture()
    collect_shard(CollectConfig(work / 'frames', shard=30, capture=capture), 0)
    collect_shard(CollectConfig(work / 'dagger-0', shard=10, seed=1, capture=capture), 0)
    held_out = CollectConfig(
        work / 'held-out', shard=12, capture=capture, first_seed=HELD_OUT_SEEDS
    )
    collect_shard(held_out, 0)


def config(folder: Path, **changes: object) -> UptrainConfig:
    """Return a run of eight steps on the model and the frames below ``folder``."""
    values = {
        'model_id': 'toy', 'backend': 'sara', 'models_dir': folder / 'models',
        'work': folder / 'work', 'transfer_steps': 4, 'finetune_steps': 4, 'batch': 4,
        'held_out': 12, 'threads': 1, 'command': 'a test',
    }  # fmt: skip
    return UptrainConfig(**{**values, **changes})  # type: ignore[arg-type]
