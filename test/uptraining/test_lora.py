"""Low-rank updates: nothing before training, the same layers after it."""

from __future__ import annotations

from policies.small_models import pct_config, rt2_config
import pytest
import torch
from torch import Tensor, nn

from sara_ros.core import ParameterError
from sara_ros.policies.pct_network import PCTNetwork
from sara_ros.policies.rt2_network import RT2Network
from sara_ros.uptraining import lora


def network_of(kind: str) -> nn.Module:
    """Return a small network with learned feature maps, always with the same weights."""
    torch.manual_seed(0)
    made = RT2Network if kind == 'rt2' else PCTNetwork
    return made(rt2_config() if kind == 'rt2' else pct_config(), 'sara', {})


def answer(network: nn.Module) -> Tensor:
    """Return the network's output on a fixed batch."""
    generator = torch.Generator().manual_seed(1)
    config = network.config
    state = torch.randn(2, config.state_size, generator=generator)
    words = torch.randint(len(config.vocabulary), (2, 1, config.max_words), generator=generator)
    if isinstance(network, PCTNetwork):
        points = torch.randn(2, 32, 3 + config.features, generator=generator)
        return network(points, state, words).actions
    images = [
        torch.randint(256, (2, view.height, view.width, 3), generator=generator)
        for view in config.views
    ]
    actions = torch.zeros(2, 1, config.actions, dtype=torch.long)
    return network(images, state, words, actions)


def trained(network: nn.Module) -> nn.Module:
    """Take a few large steps."""
    parameters = [p for p in network.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(parameters, 3e-2)
    for _ in range(4):
        optimiser.zero_grad()
        answer(network).square().mean().backward()
        optimiser.step()
    return network


@pytest.mark.parametrize('kind', ['rt2', 'pct'])
def test_round_trip(kind):
    """Nothing changes at first; what was trained is in the original parameters at the end."""
    network = network_of(kind).eval()
    before, names = answer(network), list(network.state_dict())
    assert lora.add(network, 4, alpha=8) is network
    assert torch.equal(answer(network), before)
    adapted = answer(trained(network))
    assert (adapted - before).abs().max() > 1e-2
    assert lora.merge(network) is network
    torch.testing.assert_close(answer(network), adapted, rtol=0, atol=1e-5)
    assert list(network.state_dict()) == names
    assert all(parameter.requires_grad for parameter in network.parameters())
    fresh = network_of(kind).eval()
    fresh.load_state_dict(network.state_dict())
    assert torch.equal(answer(fresh), answer(network))


@pytest.mark.parametrize('kind', ['rt2', 'pct'])
def test_only_updates_and_maps_train(kind):
    """Weights, norms and embeddings stay; every linear layer and every map moves."""
    network = network_of(kind).eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    linear = {n for n, m in network.named_modules() if isinstance(m, nn.Linear)}
    lora.add(network, 2)
    training = {name for name, p in network.named_parameters() if p.requires_grad}
    assert {name.split('.lora_')[0] for name in training if 'lora_' in name} == linear
    maps = {name for name in before if '.attention.' in name}
    assert maps
    assert {name for name in training if 'lora_' not in name} == maps
    trained(network)
    lora.merge(network)
    moved = {n for n, v in network.state_dict().items() if not torch.equal(v, before[n])}
    assert maps <= moved
    assert moved - maps == {f'{name}.weight' for name in linear}


@pytest.mark.parametrize('rank', [0, -1, 1.5, True, '4'])
def test_bad_rank(rank):
    """The rank is named."""
    with pytest.raises(ParameterError, match='lora: rank is'):
        lora.add(nn.Linear(2, 2), rank)


def test_bad_use():
    """Alpha, a network without linear layers, and the wrong order are each named."""
    with pytest.raises(ParameterError, match='alpha is 0'):
        lora.add(nn.Sequential(nn.Linear(2, 2)), 1, alpha=0)
    with pytest.raises(ParameterError, match='LayerNorm has no linear layers'):
        lora.add(nn.LayerNorm(2), 1)
    network = nn.Sequential(nn.Linear(2, 2))
    with pytest.raises(ParameterError, match='no low-rank updates to merge'):
        lora.merge(network)
    lora.add(network, 1)
    with pytest.raises(ParameterError, match='updates already'):
        lora.add(network, 1)
