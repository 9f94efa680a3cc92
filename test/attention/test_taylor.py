"""Taylor attention's inference paths and its sparse branch."""

from __future__ import annotations

from functools import partial

from attention.cases import assert_same, inputs, padding
import pytest
import torch

from sara_ros.attention import create, naive
from sara_ros.attention.softmax import pct_weights
from sara_ros.attention.taylor_sparse import quantised

SHAPE = (2, 3, 17, 8)
SPARSE = {'sparse_threshold': 0.1}


def shapes(monkeypatch) -> list[tuple[int, ...]]:
    """Collect the shapes of matrix products."""
    seen = []
    matmul = torch.Tensor.__matmul__
    monkeypatch.setattr(
        torch.Tensor, '__matmul__', lambda a, b: seen.append(matmul(a, b).shape) or matmul(a, b)
    )
    return seen


@pytest.mark.parametrize(
    ('path', 'tokens', 'pairs'),
    [
        ('weights', 40, True), ('context', 4, False),
        ('auto', 4, True), ('auto', 7, True), ('auto', 9, False), ('auto', 40, False),
    ],
)  # fmt: skip
def test_paths(monkeypatch, path, tokens, pairs):
    """``auto`` builds the weights of pairs where there are fewer tokens than dimensions."""
    made = create('taylor', head_dim=8, heads=1, options={'path': path})
    q, k, v = torch.randn(3, 1, 1, tokens, 8)
    for form in (made, made.offset):
        seen = shapes(monkeypatch)
        form(q, k, v)
        assert ((1, 1, tokens, tokens) in seen) == pairs


@pytest.mark.parametrize('bits', [2, 4, 8])
@pytest.mark.parametrize('threshold', [0.01, 0.1, 0.3])
def test_sparse_branch(threshold, bits):
    """In training strong pairs have softmax's weights; outputs and gradients are as written."""
    options = {'sparse_threshold': threshold, 'sparse_bits': bits}
    made = create('taylor', head_dim=8, heads=3, options=options)
    q, k, v = inputs(SHAPE)
    expected = naive.taylor_training(q, k, v, threshold=threshold, bits=bits)
    assert_same(made(q, k, v), expected, [q, k, v])
    assert (expected - naive.taylor(q, k, v)).abs().max() > 1e-3


def test_sparse_branch_is_dropped():
    """Inference is plain Taylor attention."""
    made = create('taylor', head_dim=8, heads=3, options=SPARSE).eval()
    q, k, v = inputs(SHAPE)
    torch.testing.assert_close(made(q, k, v), naive.taylor(q, k, v), rtol=1e-4, atol=1e-5)
    expected = naive.taylor_offset(q, k, v)
    torch.testing.assert_close(made.offset(q, k, v), expected, rtol=1e-4, atol=1e-5)


def test_every_pair_is_strong():
    """With a threshold below all weights training is softmax, in both forms, padding or not."""
    options = {'sparse_threshold': 1e-12}
    made = create('taylor', head_dim=8, heads=3, options=options)
    q, k, v = inputs(SHAPE)
    for mask in (None, padding(SHAPE)):
        exact = naive.softmax(q, k, v, mask)
        assert_same(made(q, k, v, mask), exact, [q, k, v])
        exact = naive.softmax_offset(q, k, v, mask)
        assert_same(made.offset(q, k, v, mask), exact, [q, k, v])


def test_sparse_branch_without_keys():
    """Where all tokens are padding the result stays zero in training."""
    made = create('taylor', head_dim=8, heads=3, options={'sparse_threshold': 0.01})
    q, k, v = inputs(SHAPE)
    mask = torch.zeros(2, 17, dtype=torch.bool)
    assert (made(q, k, v, mask) == 0).all()
    assert (made.offset(q, k, v, mask) == 0).all()


def test_sparse_offset():
    """The PCT form replaces the doubly normalised weights of strong pairs."""
    made = create('taylor', head_dim=8, heads=3, options=SPARSE)
    q, k, v = (x.detach() for x in inputs(SHAPE))
    energy = partial(torch.einsum, 'bhid,bhjd->bhji')
    flat = (1 + energy(q - q.mean(2, True), k - k.mean(2, True))) / 17
    strong = pct_weights(quantised(q, 4), quantised(k, 4)) > 0.1
    expected = torch.where(strong, pct_weights(q, k), flat) @ v
    torch.testing.assert_close(made.offset(q, k, v), expected, rtol=1e-4, atol=1e-5)
    assert 0.05 < strong.float().mean() < 0.95


def test_quantised():
    """Three bits are seven numbers, and each entry goes to the nearest."""
    x = torch.randn(2, 3, 50, 8)
    rounded = quantised(x, 3)
    step = x.abs().amax((-2, -1), keepdim=True) / 3
    assert ((x - rounded).abs() <= step / 2 + 1e-6).all()
    assert all(len(head.unique()) <= 7 for head in (rounded / step).round().flatten(0, 1))
    assert quantised(torch.zeros(1, 1, 2, 2), 4).isfinite().all()
