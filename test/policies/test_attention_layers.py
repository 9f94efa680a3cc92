"""The backend of each layer: what policy.json states is what is built."""

from dataclasses import replace

from policies.small_models import make, pct_config, rt2_config
import pytest
import torch

from sara_ros.core import CheckpointError
from sara_ros.policies import checkpoint as checkpoints
from sara_ros.policies import load_policy, verify, warm_up
from sara_ros.policies.attention_layers import (
    LayerChoice,
    attention_layers,
    describe_attention,
    layer_choices,
)
from sara_ros.policies.loading import build_network
from sara_ros.policies.pct_network import PCTNetwork
from sara_ros.policies.rt2_network import RT2Network

RANDOM = {'function': 'exp', 'features': 5, 'initialisation': 'random'}


def names_of(network):
    """Return the backend of each layer."""
    return [layer.attention.name for layer in attention_layers(network).values()]


@pytest.mark.parametrize(
    ('kind', 'attention', 'expected'),
    [
        ('rt2', {'backend': 'taylor', 'options': {}}, ['taylor', 'taylor']),
        ('rt2', {'backend': 'sara', 'options': RANDOM, 'layers': [1]}, ['softmax', 'sara']),
        ('pct', {'backend': 'sara', 'layers': [0, 2]}, ['sara', 'softmax', 'sara', 'softmax']),
        (
            'rt2',
            {
                'backend': 'mixed',
                'per_layer': [{'backend': 'uniform'}, {'backend': 'sara', 'options': RANDOM}],
            },
            ['uniform', 'sara'],
        ),
    ],
)
def test_loads_back(tmp_path, kind, attention, expected):
    """Weights of layers with a backend of their own come back exactly."""
    written = make(tmp_path, kind)
    changed = replace(written, spec=replace(written.spec, attention=attention))
    network = build_network(changed)
    checkpoints.round_as_stored(network)
    checkpoints.save(tmp_path, changed, network.state_dict())
    assert names_of(network) == expected
    assert verify(tmp_path, 'tiny').checkpoint.spec.attention == attention
    stored = checkpoints.read(tmp_path, 'tiny')
    again = build_network(stored.checkpoint)
    checkpoints.load_into(again, stored)
    assert names_of(again) == expected
    for name, tensor in network.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor), name
    policy = load_policy(tmp_path, 'tiny', attention_backend=attention['backend'])
    assert policy.spec.attention == attention
    warm_up(policy, 1)


def test_options_are_written_out():
    """A default that changes later does not change the model."""
    found = describe_attention(LayerChoice('sara', {'function': 'exp'}), [1], 2)
    assert found['options']['features'] == 0
    assert found['layers'] == [1]
    assert layer_choices(found, 2)[1] == LayerChoice('sara', found['options'])
    assert 'layers' not in describe_attention(LayerChoice('sara', {}), range(2), 2)


def test_layers_in_the_order_they_run():
    """An index means the same layer everywhere."""
    assert list(attention_layers(_network('rt2'))) == ['encoder.0', 'encoder.1']
    assert list(attention_layers(_network('pct'))) == [f'layers.{i}' for i in range(4)]


@pytest.mark.parametrize(
    ('attention', 'message'),
    [
        ({'backend': 'sara', 'layers': [2]}, 'there is no attention layer 2; known: 0, 1'),
        ({'backend': 'sara', 'layers': [0, 0]}, r'attention layers \[0, 0\] repeat'),
        ({'backend': 'sara', 'layers': []}, r'attention layers are \[\]'),
        ({'backend': 'sara', 'layers': 'all'}, "attention layers are 'all'"),
        ({'backend': 'sara', 'layers': [True]}, 'there is no attention layer True'),
        ({'per_layer': [{'backend': 'sara'}]}, 'per_layer must be a list of 2 layers'),
        ({'per_layer': [{'backend': 'sara'}, 3]}, r'per_layer\[1\] is 3'),
        ({'backend': 'sara', 'options': [1]}, r'attention\.options are \[1\]'),
    ],
)
def test_wrong_descriptions(tmp_path, attention, message):
    """A model folder that says something impossible is refused with the field named."""
    written = make(tmp_path, 'rt2')
    changed = replace(written, spec=replace(written.spec, attention=attention))
    checkpoints.save(tmp_path, changed, build_network(written).state_dict())
    with pytest.raises(CheckpointError, match=message):
        verify(tmp_path, 'tiny')


def _network(kind):
    if kind == 'rt2':
        return RT2Network(rt2_config(), 'softmax', {})
    return PCTNetwork(pct_config(), 'softmax', {})
