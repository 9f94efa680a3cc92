"""Up-training of networks with history and with grouped points."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from uptraining.toys import CONFIGS, config

from sara_ros.policies import checkpoint as checkpoints
from sara_ros.policies import load_policy, warm_up
from sara_ros.policies.attention_layers import attention_layers
from sara_ros.policies.checkpoint import Checkpoint
from sara_ros.policies.pct_config import Stage
from sara_ros.policies.rt2_config import View
from sara_ros.training.collect import CollectConfig, collect_shard
from sara_ros.training.scenes import HELD_OUT_SEEDS
from sara_ros.training.tabletop import TabletopConfig, capture_of, learner_of, spec_of
from sara_ros.uptraining.convert import convert
from sara_ros.uptraining.pipeline import uptrain

HISTORY = replace(
    CONFIGS['rt2'], views=(View('front', 24, 32, 8),), encoder_layers=1, history=3,
    frame_spacing_sec=0.1, history_layers=1, generation='parallel', actions=16,
)  # fmt: skip
GROUPED = replace(CONFIGS['pct'], points=48, grouping=(Stage(24, 4), Stage(12, 4)))
NETWORKS = {'rt2': HISTORY, 'pct': GROUPED}


def write(folder: Path, kind: str) -> None:
    """Write a model with the frames it states."""
    network = NETWORKS[kind]
    learner = learner_of(network)
    capture = capture_of(learner)
    for name, count, changes in (
        ('frames', 12, {}), ('dagger-0', 6, {'seed': 1}),
        ('held-out', 12, {'first_seed': HELD_OUT_SEEDS}),
    ):  # fmt: skip
        wanted = CollectConfig(
            folder / 'work' / name, count, shard=count, capture=capture, **changes
        )
        collect_shard(wanted, 0)
    run = TabletopConfig('toy', kind, folder / 'models', folder / 'work', network=network)
    training = {
        'expert_frames': 12, 'dagger_rounds': [{'at_step': 1, 'frames': 6}],
        'instructions_per_image': 2, 'recipe': {'seed': 0},
    }  # fmt: skip
    checkpoint = Checkpoint(spec_of(run), network.to_dict(), training=training)
    checkpoints.save(folder / 'models', checkpoint, learner.network.state_dict())


@pytest.mark.parametrize('kind', NETWORKS)
def test_whole_run(tmp_path, kind):
    """Converted, transferred, fine-tuned, measured, and served with its new attention."""
    torch.manual_seed(0)
    write(tmp_path, kind)
    done = uptrain(config(tmp_path, transfer_steps=2, finetune_steps=2))
    assert set(done.variants) == {
        'softmax', 'converted', 'transferred', 'finetuned', 'softmax_control'
    }  # fmt: skip
    assert all(error.frames == 12 for error in done.variants.values())
    policy = load_policy(tmp_path / 'models', 'toy-sara')
    warm_up(policy)
    names = {layer.attention.name for layer in attention_layers(policy.network).values()}
    assert names == {'sara'}


def test_layers_over_the_history_are_converted():
    """They run after those of each frame, and are the ones where linear attention pays."""
    network = learner_of(HISTORY).network
    assert list(attention_layers(network)) == ['encoder.0', 'history_encoder.0']
    report = convert(network, 'taylor', layers=[1])
    assert [row.after for row in report.layers] == ['softmax', 'taylor']
    frames = torch.randint(0, 256, (2, 3, 24, 32, 3), dtype=torch.uint8)
    assert network.encode([frames]).shape == (2, 36, 16)
