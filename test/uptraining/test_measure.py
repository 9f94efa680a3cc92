"""Held-out errors: those of the actions that the served policy returns."""

import json

import numpy as np
import pytest
import torch
from uptraining.toys import config

from sara_ros.policies import checkpoint as checkpoints
from sara_ros.policies.loading import build_network, load_policy
from sara_ros.policies.pct import PCTInputs, PCTPolicy
from sara_ros.policies.rt2 import RT2Inputs
from sara_ros.sim.action_space import tabletop_action
from sara_ros.training.capture import VIEWS
from sara_ros.training.frames import load_frames
from sara_ros.training.scenes import DAGGER_SEEDS, HELD_OUT_SEEDS, TRAINING_SEEDS
from sara_ros.uptraining.measure import ErrorSum
from sara_ros.uptraining.tabletop_data import TabletopData


def opened(toy):
    """Return the data and the network of a toy."""
    stored = checkpoints.read(toy / 'models', 'toy')
    network = build_network(stored.checkpoint)
    checkpoints.load_into(network, stored)
    return TabletopData(stored, network, config(toy).data_options), network


def served(policy, row):
    """Return the action of a policy on one row of frames."""
    index = int(row['task'])
    words = policy._vocabulary.encode(policy.spec.instructions[index])[None]
    state = torch.from_numpy(row['state'])[None]
    if isinstance(policy, PCTPolicy):
        points = torch.from_numpy(row['points'].astype(np.float32))[None]
        return policy.infer(PCTInputs(points, state, words[:, None]))[0].numpy()
    images = tuple(torch.from_numpy(row[view.name])[None] for view in VIEWS)
    return policy.infer(RT2Inputs(images, state, words))[0][0].numpy()


def test_errors_are_those_of_the_policy(toy):
    """Measuring in batches gives what serving frame by frame gives."""
    data, network = opened(toy)
    found = data.measure(network)
    policy = load_policy(toy / 'models', 'toy')
    frames = load_frames(toy / 'work' / 'held-out')
    rows = [{name: value[i] for name, value in frames.items()} for i in range(12)]
    errors = np.abs([served(policy, row) - row['labels'][int(row['task'])] for row in rows])
    action = policy.spec.action
    assert found.frames == 12
    np.testing.assert_allclose(list(found.per_dimension.values()), errors.mean(0), atol=2e-6)
    assert list(found.per_dimension) == list(action.names)
    assert found.mean_absolute_error == pytest.approx(errors.mean(), rel=1e-4)
    shares = errors / (action.high - action.low)
    assert found.action_error == pytest.approx(shares.mean(), rel=1e-4)
    assert json.dumps(found.to_dict())


def test_loss_is_that_of_the_actions(toy):
    """Heads that exist in training only, which begin at random, do not count."""
    data, network = opened(toy)
    first, second = data.measure(network), data.measure(network)
    assert first == second
    weights = {'choices': 0.3}
    total = sum(weights.get(name, 1.0) * value for name, value in first.parts.items())
    assert first.loss == pytest.approx(total)
    assert set(first.parts) in ({'tokens', 'expectation'}, {'motion', 'choices'})


def test_batches_count_by_their_frames():
    """A last batch of one frame weighs as much as any other frame."""
    errors = ErrorSum(tabletop_action())
    errors.add({'loss': torch.tensor(1.0)}, torch.zeros(3, 8), torch.zeros(3, 8))
    errors.add({'loss': torch.tensor(5.0)}, torch.ones(1, 8), torch.zeros(1, 8))
    assert errors.result().loss == pytest.approx(2.0)
    assert errors.result().mean_absolute_error == pytest.approx(0.25)


def test_held_out_scenes_are_of_their_own():
    """Neither training nor evaluation plays them, however many frames are collected."""
    assert HELD_OUT_SEEDS > 500_000 + 100_000
    assert HELD_OUT_SEEDS + 4 * 1_000_000 < TRAINING_SEEDS < DAGGER_SEEDS


def test_frames_are_limited(toy):
    """``frames`` is the most of each collection."""
    stored = checkpoints.read(toy / 'models', 'toy')
    network = build_network(stored.checkpoint)
    data = TabletopData(stored, network, config(toy, frames=7).data_options)
    assert data.facts == {
        'expert_frames': 7, 'dagger_frames': 7, 'instructions_per_image': 2,
    }  # fmt: skip
    assert opened(toy)[0].facts['expert_frames'] == 30
