"""Conversion: what is replaced, what is said, and that an error changes nothing."""

import copy

import pytest
import torch
from torch import nn
from uptraining.toys import CONFIGS

from sara_ros.core import ParameterError
from sara_ros.policies.attention_layers import attention_layers
from sara_ros.policies.pct_network import PCTNetwork
from sara_ros.policies.rt2_network import RT2Network
from sara_ros.uptraining.convert import convert


def network(kind):
    """Return a toy network with softmax."""
    torch.manual_seed(0)
    build = RT2Network if kind == 'rt2' else PCTNetwork
    return build(CONFIGS[kind], 'softmax', {}).eval()


def encoded(model):
    """Run the attention layers of a toy."""
    torch.manual_seed(1)
    if isinstance(model, PCTNetwork):
        return model.encode(torch.rand(2, 32, 6), torch.zeros(2, 3))
    return model.encode([
        torch.randint(0, 256, (2, view.height, view.width, 3), dtype=torch.uint8)
        for view in model.config.views
    ])  # fmt: skip


@pytest.mark.parametrize('kind', ['rt2', 'pct'])
@pytest.mark.parametrize('backend', ['sara', 'taylor', 'uniform', 'hedgehog', 'performer'])
def test_all_layers(kind, backend):
    """Every layer has the new backend and computes another function; the rest is untouched."""
    model = network(kind)
    before, kept = encoded(model), copy.deepcopy(model.state_dict())
    report = convert(model, backend)
    assert len(report.converted) == 2
    assert not report.left
    assert {row.after for row in report.layers} == {backend}
    assert {layer.attention.name for layer in attention_layers(model).values()} == {backend}
    after = encoded(model)
    assert after.shape == before.shape
    assert not torch.allclose(after, before, atol=1e-5)
    for name, tensor in kept.items():
        assert torch.equal(model.state_dict()[name], tensor), name


def test_some_layers():
    """The others keep softmax, and the report says why."""
    model = network('rt2')
    report = convert(model, 'sara', {'function': 'square'}, layers=[1])
    assert [row.converted for row in report.layers] == [False, True]
    assert report.left[0].reason == 'not chosen'
    first, second = (layer.attention for layer in attention_layers(model).values())
    assert first.name == 'softmax'
    assert second.function == 'square'


def test_report_says_what_has_no_weights():
    """Nothing can be transferred to a backend without weights."""
    assert 'no weights' in convert(network('rt2'), 'taylor').layers[0].reason
    assert convert(network('rt2'), 'sara').layers[0].reason == ''


@pytest.mark.parametrize(
    ('kind', 'backend', 'options', 'layers', 'message'),
    [
        ('rt2', 'sara', {}, [0, 2], 'there is no attention layer 2; known: 0, 1'),
        ('rt2', 'sara', {}, [1, 1], 'repeat'),
        ('rt2', 'fast', {}, None, "unknown attention backend 'fast'; known: softmax"),
        ('rt2', 'softmax', {}, None, "backend is 'softmax', which the model already has"),
        ('rt2', 'sara', {'size': 3}, None, "has no option 'size'; known: function"),
        ('rt2', 'sara', {'features': -1}, None, 'features is -1'),
        ('pct', 'window+linear', {}, None, r"layer 'layers\.0' cannot be converted.*PCT"),
        ('pct', 'auto', {'linear': 'window+linear'}, None, 'cannot be converted.*PCT'),
    ],
)
def test_errors_change_nothing(kind, backend, options, layers, message):
    """What cannot be used is found before the first layer is replaced."""
    model = network(kind)
    with pytest.raises(ParameterError, match=message):
        convert(model, backend, options, layers)
    assert {layer.attention.name for layer in attention_layers(model).values()} == {'softmax'}


def test_converted_twice():
    """A second conversion would have nothing to learn from; the layer is named."""
    model = network('pct')
    convert(model, 'sara', layers=[1])
    with pytest.raises(ParameterError, match=r"layer 'layers\.1' already has .* 'sara'"):
        convert(model, 'taylor')


def test_nothing_to_convert():
    """A model without attention of ours is named."""
    with pytest.raises(ParameterError, match='a Linear has no attention layer'):
        convert(nn.Linear(2, 2), 'sara')


def test_new_weights_depend_on_the_seed_only():
    """So does everything that is trained from them."""
    models = []
    for _ in range(2):
        models.append(network('rt2'))
        torch.manual_seed(5)
        convert(models[-1], 'sara', {'function': 'exp', 'initialisation': 'random'})
    first, second = (model.state_dict() for model in models)
    assert all(torch.equal(first[name], second[name]) for name in first)
