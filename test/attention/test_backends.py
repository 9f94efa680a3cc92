"""Each backend computes its naive reference, outputs and gradients alike."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import Tensor

from sara_ros.attention import AttentionBackend, create, naive
from sara_ros.attention.sara import Sara
from sara_ros.core import ParameterError

SHAPES = [(1, 1, 1, 4), (2, 3, 17, 8), (1, 2, 64, 16), (2, 1, 130, 32)]
SARA = [
    {'function': function, 'features': features, 'initialisation': 'random'}
    for function in ('relu', 'exp', 'square')
    for features in (0, 5)
]
CASES = [('softmax', {}), ('taylor', {}), ('uniform', {}), ('sara', {})]
CASES += [('sara', options) for options in SARA]


def inputs(shape: tuple[int, int, int, int], *, queries: int | None = None) -> list[Tensor]:
    """Return q, k, v that want gradients, from a seed that depends on the shape."""
    generator = torch.Generator().manual_seed(sum(shape))
    batch, heads, tokens, dim = shape
    sizes = [queries or tokens, tokens, tokens]
    return [
        torch.randn(batch, heads, size, dim, generator=generator, requires_grad=True)
        for size in sizes
    ]


def backend(name: str, options: dict[str, object], shape: tuple[int, ...]) -> AttentionBackend:
    """Build a backend, with scales that are not one where it has them."""
    torch.manual_seed(1)
    made = create(name, head_dim=shape[3], heads=shape[1], options=options)
    if isinstance(made, Sara):
        for scale in (made.q_scale, made.k_scale):
            torch.nn.init.uniform_(scale, 0.5, 2.0)
    return made


def phi(made: Sara, side: str, x: Tensor) -> Tensor:
    """Return ``v * f(G x)`` as SARA-RT writes it, head by head."""
    matrix, scale = getattr(made, f'{side}_map'), getattr(made, f'{side}_scale')
    function = {'relu': torch.relu, 'exp': torch.exp, 'square': torch.square}[made.function]
    projected = torch.einsum('hmd,bhnd->bhnm', matrix, x / x.shape[-1] ** 0.25)
    return scale * function(projected)


def reference(made: AttentionBackend, form: str):
    """Return the naive function of a backend's form."""
    if not isinstance(made, Sara):
        return getattr(naive, made.name + form)
    maps = {'phi_q': partial(phi, made, 'q'), 'phi_k': partial(phi, made, 'k')}
    return partial(getattr(naive, 'feature_map' + form), **maps)


def assert_same(result: Tensor, expected: Tensor, leaves: list[Tensor]) -> None:
    """Compare outputs, then the gradients of a fixed linear function of them."""
    torch.testing.assert_close(result, expected, rtol=2e-4, atol=2e-5)
    weight = torch.randn(result.shape, generator=torch.Generator().manual_seed(0))
    ours = torch.autograd.grad((result * weight).sum(), leaves, allow_unused=True)
    theirs = torch.autograd.grad((expected * weight).sum(), leaves, allow_unused=True)
    for mine, other, leaf in zip(ours, theirs, leaves, strict=True):
        zero = torch.zeros_like(leaf)
        mine, other = (zero if grad is None else grad for grad in (mine, other))
        scale = max(1.0, float(other.abs().max()))
        torch.testing.assert_close(mine / scale, other / scale, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize('shape', SHAPES)
@pytest.mark.parametrize(('name', 'options'), CASES)
def test_bidirectional(name, options, shape):
    """The standard form, with as many queries as keys and with fewer."""
    made = backend(name, options, shape)
    for queries in (None, 3):
        q, k, v = inputs(shape, queries=queries)
        leaves = [q, k, v, *made.parameters()]
        assert_same(made(q, k, v), reference(made, '')(q, k, v), leaves)


@pytest.mark.parametrize('shape', SHAPES[1:])
@pytest.mark.parametrize(('name', 'options'), CASES)
def test_key_mask(name, options, shape):
    """Padding has no influence: the masked form is the form without those tokens."""
    made = backend(name, options, shape)
    q, k, v = inputs(shape)
    keep = shape[2] // 2
    mask = (torch.arange(shape[2]) < keep).repeat(shape[0], 1)
    leaves = [q, k, v, *made.parameters()]
    assert_same(made(q, k, v, mask), reference(made, '')(q, k, v, key_mask=mask), leaves)
    short = made(q, k[:, :, :keep], v[:, :, :keep])
    torch.testing.assert_close(made(q, k, v, mask), short, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('shape', SHAPES)
@pytest.mark.parametrize(('name', 'options'), CASES)
def test_offset(name, options, shape):
    """PCT's double normalisation, with shared queries and keys and with separate ones."""
    made = backend(name, options, shape)
    q, k, v = inputs(shape)
    for queries in (k, q):
        expected = reference(made, '_offset')(queries, k, v)
        assert_same(made.offset(queries, k, v), expected, [q, k, v])


def test_causal_softmax():
    """The one causal form there is; the others refuse it."""
    q, k, v = inputs(SHAPES[1])
    made = create('softmax', head_dim=8, heads=3)
    assert_same(made.causal(q, k, v), naive.softmax_causal(q, k, v), [q, k, v])
    with pytest.raises(ParameterError, match="'taylor' has no causal form"):
        create('taylor', head_dim=8, heads=3).causal(q, k, v)


def test_textbook_linear_attention_is_not_pct():
    """Guards the reference: single normalisation gives another result."""
    made = create('sara', head_dim=16, heads=2)
    q, k, v = inputs(SHAPES[2])
    assert (made.offset(k, k, v) - made(k, k, v)).abs().max() > 0.1


def test_exp_map_does_not_overflow():
    """Large scores keep exp features finite."""
    made = create('sara', head_dim=8, heads=1, options={'function': 'exp'})
    x = torch.randn(1, 1, 9, 8) * 300
    assert made(x, x, x).isfinite().all()
    assert made.offset(x, x, x).isfinite().all()
