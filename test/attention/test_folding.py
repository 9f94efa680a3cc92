"""SARA folded into its projections: the same function without the product by G."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
from policies.small_models import make
import pytest
import torch
from torch import nn

from sara_ros.attention import Projection, create, fold, worth_folding
from sara_ros.attention.sara import FoldedSara, Sara
from sara_ros.core import ParameterError
from sara_ros.policies import checkpoint as checkpoints
from sara_ros.policies import load_policy
from sara_ros.policies.attention_layers import attention_layers
from sara_ros.policies.blocks import EncoderBlock, split_heads
from sara_ros.policies.loading import build_network, serve, synthetic_observation
from sara_ros.policies.pct_network import OffsetAttention

FUNCTIONS = ('relu', 'exp', 'square')


def trained(made: Sara) -> Sara:
    """Give the maps and scales the values of some training."""
    for parameter in (made.q_map, made.k_map):
        nn.init.normal_(parameter)
    for parameter in (made.q_scale, made.k_scale):
        nn.init.uniform_(parameter, 0.2, 3.0)
    return made


@pytest.mark.parametrize('bias', [True, False])
@pytest.mark.parametrize('features', [0, 3, 11])
@pytest.mark.parametrize('function', FUNCTIONS)
def test_identity(function, features, bias):
    """``f(fold(W) x)`` gives what ``phi(W x)`` gives, in every form."""
    torch.manual_seed(0)
    options = {'function': function, 'features': features, 'initialisation': 'random'}
    made = trained(create('sara', head_dim=8, heads=3, options=options))
    query, key = (nn.Linear(20, 24, bias=bias) for _ in range(2))
    folded = fold(made, Projection(query.weight, query.bias), Projection(key.weight, key.bias))
    x, v = torch.randn(2, 9, 20), torch.randn(2, 3, 9, 5)
    plain = [split_heads(layer(x), 3) for layer in (query, key)]
    mapped = [split_heads(nn.functional.linear(x, *part), 3) for part in folded[:2]]
    for form in ('forward', 'offset', 'causal'):
        expected = getattr(made, form)(*plain, v)
        result = getattr(folded.attention, form)(*mapped, v)
        torch.testing.assert_close(result, expected, rtol=1e-5, atol=1e-5)
    assert (folded.query.bias is None) == (not bias and function != 'exp')


@pytest.mark.parametrize('function', FUNCTIONS)
def test_blocks(function):
    """A folded block returns what it returned, with narrower or equal projections."""
    torch.manual_seed(0)
    x = torch.randn(2, 30, 32)
    for features in (0, 4):
        options = {'function': function, 'features': features, 'initialisation': 'random'}
        blocks = [
            EncoderBlock(32, 4, 2, 'sara', options),
            OffsetAttention(32, 'sara', options).eval(),
        ]
        for block in blocks:
            trained(block.attention)
            with torch.no_grad():
                expected = block(x)
                block.fold()
                assert isinstance(block.attention, FoldedSara)
                torch.testing.assert_close(block(x), expected, rtol=1e-5, atol=1e-5)
                block.fold()
                torch.testing.assert_close(block(x), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize('name', ['softmax', 'taylor', 'hedgehog'])
def test_other_backends_stay(name):
    """A block without a map that folds is left as it is."""
    block = EncoderBlock(32, 4, 2, name, {})
    before = copy.deepcopy(block.state_dict())
    block.fold()
    assert block.attention.name == name
    torch.testing.assert_close(block.state_dict(), before)


def test_wider_maps_stay():
    """With more features than dimensions the projections would grow."""
    options = {'features': 12, 'initialisation': 'random'}
    assert not worth_folding(create('sara', head_dim=8, heads=1, options=options))
    assert worth_folding(create('sara', head_dim=8, heads=1))


@pytest.mark.parametrize('value', [0.0, -0.5])
@pytest.mark.parametrize('name', ['q_scale', 'k_scale'])
def test_scale_must_be_positive(name, value):
    """There is no projection whose ReLU is a negative multiple of another ReLU."""
    made = create('sara', head_dim=8, heads=3)
    getattr(made, name).data[1, 0, 2] = value
    projection = Projection(torch.randn(24, 20))
    with pytest.raises(ParameterError, match=f'{name} has the value {value:g}; only a positive'):
        fold(made, projection, projection)


@pytest.mark.parametrize('scale', [1.5, -1.5])
@pytest.mark.parametrize('kind', ['rt2', 'pct'])
def test_served_network(tmp_path, kind, scale):
    """What is loaded to serve is folded where it can be, acts alike, and stays out of the file."""
    made = make(tmp_path, kind)
    stated = {'backend': 'sara', 'options': {'function': 'exp'}}
    checkpoint = replace(made, spec=replace(made.spec, attention=stated))
    network = build_network(checkpoint)
    for layer in attention_layers(network).values():
        layer.attention.q_scale.data *= scale
    checkpoints.round_as_stored(network)
    checkpoints.save(tmp_path, checkpoint, network.state_dict())
    folded = load_policy(tmp_path, 'tiny')
    kinds = {type(layer.attention) for layer in attention_layers(folded.network).values()}
    assert kinds == {FoldedSara if scale > 0 else Sara}
    observation = synthetic_observation(checkpoint.spec)
    plain = serve(checkpoint.spec, network).act(observation)
    np.testing.assert_allclose(folded.act(observation).values, plain.values, atol=1e-5)
    stored = checkpoints.read(tmp_path, 'tiny').load_weights()
    assert {name: tensor.shape for name, tensor in stored.items()} == {
        name: tensor.shape for name, tensor in network.state_dict().items()
    }
