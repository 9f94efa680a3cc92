"""The backend that measures: what it may choose, what it keeps, and what it says."""

from __future__ import annotations

import logging

from policies.small_models import make
import pytest
import torch

from sara_ros.attention import auto, create, settle_network
from sara_ros.attention.auto import Call
from sara_ros.core import ParameterError
from sara_ros.policies import load_policy
from sara_ros.policies.attention_layers import attention_layers
from sara_ros.policies.blocks import EncoderBlock


def clock(monkeypatch, softmax: float, linear: float) -> None:
    """Let the two backends take these times in s."""
    monkeypatch.setattr(auto, 'median_seconds', lambda *_: (softmax, linear))


def test_training_draws_both():
    """Each call in training mode is one of the two, and both occur."""
    torch.manual_seed(0)
    made = create('auto', head_dim=8, heads=2)
    q, k, v = torch.randn(3, 1, 2, 9, 8)
    exact, linear = made.softmax(q, k, v), made.linear(q, k, v)
    drawn = [made(q, k, v) for _ in range(60)]
    share = sum(torch.equal(result, linear) for result in drawn) / 60
    assert 0.25 < share < 0.75
    assert all(torch.equal(result, linear) or torch.equal(result, exact) for result in drawn)
    made.eval()
    assert torch.equal(made(q, k, v), exact)


@pytest.mark.parametrize(('linear_sec', 'kept'), [(1e-3, 'taylor'), (3e-3, 'softmax')])
def test_keeps_the_faster(monkeypatch, caplog, linear_sec, kept):
    """The log line states both durations and what was measured."""
    clock(monkeypatch, 2e-3, linear_sec)
    made = create('auto', head_dim=8, heads=2, options={'linear': 'taylor'}).eval()
    with caplog.at_level(logging.INFO):
        assert made.settle(Call(33), 'encoder.0').name == kept
    assert f"in encoder.0 keeps '{kept}': softmax takes 2.000 ms, taylor " in caplog.text
    assert 'N=33, D=8, H=2, torch.float32, cpu' in caplog.text
    q, k, v = torch.randn(3, 1, 2, 9, 8)
    chosen = made.linear if kept == 'taylor' else made.softmax
    assert torch.equal(made(q, k, v), chosen(q, k, v))
    state = made.absorb(None, k, v)
    torch.testing.assert_close(made.read(state, q), made(q, k, v))


@pytest.mark.parametrize('form', ['forward', 'offset', 'causal'])
@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16])
def test_measures_every_form(form, dtype):
    """Measuring for real ends with one of the two; value and head sizes may differ."""
    made = create('auto', head_dim=8, heads=2).eval()
    call = Call(20, dtype, form=form, queries=20, value_dim=32)
    assert made.to(dtype).settle(call) in (made.softmax, made.linear)


def test_network(monkeypatch):
    """Each layer is replaced by what it kept, for the number of tokens that it saw."""
    seen = []
    monkeypatch.setattr(
        auto.Auto, 'settle', lambda layer, call, where: seen.append((call, where)) or layer.linear
    )
    network = torch.nn.Sequential(*(EncoderBlock(16, 2, 2, 'auto', {}) for _ in range(2))).eval()
    settle_network(network, lambda: network(torch.randn(1, 7, 16)))
    assert [where for _, where in seen] == ['0.attention', '1.attention']
    assert all(call == Call(7, queries=7, value_dim=8) for call, _ in seen)
    assert [block.attention.name for block in network] == ['sara', 'sara']


def test_nothing_to_settle():
    """A network without such layers is not even run."""
    settle_network(torch.nn.Linear(2, 2), lambda: pytest.fail('was run'))


@pytest.mark.parametrize('kind', ['rt2', 'pct'])
@pytest.mark.parametrize(('linear_sec', 'kept'), [(1e-3, 'sara'), (3e-3, 'softmax')])
def test_loaded_policy_is_settled(tmp_path, monkeypatch, kind, linear_sec, kept):
    """A served network has no layer left to choose, and SARA layers are folded."""
    clock(monkeypatch, 2e-3, linear_sec)
    make(tmp_path, kind)
    policy = load_policy(tmp_path, 'tiny', attention_backend='auto')
    layers = attention_layers(policy.network).values()
    expected = 'FoldedSara' if kept == 'sara' else 'Softmax'
    assert {type(layer.attention).__name__ for layer in layers} == {expected}


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'linear': 'softmax'}, "linear is 'softmax'; known: sara, taylor"),
        ({'linear': 'sara', 'linear_options': {'speed': 1}}, "'sara' has no option 'speed'"),
        ({'linear_options': 3}, 'expected a mapping'),
    ],
)
def test_refused(options, message):
    """Options of the linear backend are checked when the layer is built."""
    with pytest.raises(ParameterError, match=message):
        create('auto', head_dim=8, heads=2, options=options)


def test_both_must_have_the_form():
    """A layer that would serve only if softmax won is refused when the model is built."""
    made = create('auto', head_dim=8, heads=1, options={'linear': 'window+linear'})
    made.require('forward')
    with pytest.raises(ParameterError, match='points of a cloud have no order'):
        made.require('offset')
