"""The causal forms: their references, no look ahead, and chunks that leave no trace."""

from __future__ import annotations

from attention.cases import CASES, SHAPES, WINDOW, assert_same, backend, inputs, reference
import pytest
import torch

from sara_ros.attention import backend_names, create, prefix
from sara_ros.core import ParameterError

LONG = (1, 2, 300, 16)  # more than two chunks


@pytest.mark.parametrize('shape', [*SHAPES, LONG])
@pytest.mark.parametrize(('name', 'options'), [*CASES, *WINDOW])
def test_causal(name, options, shape):
    """Outputs and gradients are those of the reference."""
    made = backend(name, options, shape)
    q, k, v = inputs(shape)
    leaves = [q, k, v, *made.parameters()]
    assert_same(made.causal(q, k, v), reference(made, '_causal')(q, k, v), leaves)


@pytest.mark.parametrize(('name', 'options'), [*CASES, *WINDOW])
def test_later_tokens_do_not_matter(name, options):
    """Neither values nor scales of later tokens reach earlier ones, however large they are."""
    made = backend(name, options, LONG)
    q, k, v = (x.detach() for x in inputs(LONG))
    before = made.causal(q, k, v)
    for x in (q, k, v):
        x[:, :, 200:] *= 40
    after = made.causal(q, k, v)
    torch.testing.assert_close(after[:, :, :200], before[:, :, :200], rtol=1e-5, atol=1e-6)
    assert (after[:, :, 200:] - before[:, :, 200:]).abs().max() > 0.1


@pytest.mark.parametrize(('name', 'options'), CASES)
def test_last_token_sees_all(name, options):
    """Its causal result is its bidirectional one."""
    made = backend(name, options, LONG)
    q, k, v = inputs(LONG)
    whole = made(q[:, :, -1:], k, v)
    torch.testing.assert_close(made.causal(q, k, v)[:, :, -1:], whole, rtol=1e-4, atol=1e-5)


def test_the_largest_matrix_is_a_chunk(monkeypatch):
    """No weights of all pairs and no context of each token are ever built."""
    sizes = []
    matmul = torch.Tensor.__matmul__

    def counted(a, b):
        sizes.append(matmul(a, b).numel())
        return matmul(a, b)

    monkeypatch.setattr(torch.Tensor, '__matmul__', counted)
    x = torch.randn(1, 1, 1024, 16)
    prefix.prefix_attention(x.exp(), prefix.Features(x.exp()), x)
    assert max(sizes) == prefix.CHUNK**2


@pytest.mark.parametrize('name', backend_names('causal'))
def test_needs_pairs(name):
    """A causal form has one query for each key."""
    q, k = torch.randn(1, 1, 3, 4), torch.randn(1, 1, 5, 4)
    with pytest.raises(ParameterError, match='3 queries and 5 keys; the causal form'):
        create(name, head_dim=4, heads=1).causal(q, k, k)
