"""Dense masks are read for what they say, and honoured exactly by feature maps."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
import pytest
import torch
from torch import Tensor

from sara_ros.attention import create
from sara_ros.core import ParameterError
from sara_ros.uptraining.visibility import attend, read_mask

HEADS, SIZE = 2, 4


def dense(q: Tensor, k: Tensor, v: Tensor, keep: Tensor) -> Tensor:
    """Return SARA with the map ``x^2`` and its whole weight matrix, under a mask ``(B, N, N)``."""
    phi_q, phi_k = (x.square() / SIZE**0.5 for x in (q, k))
    weights = (phi_q @ phi_k.transpose(-2, -1)) * keep[:, None]
    return weights @ v / (weights.sum(dim=-1, keepdim=True) + 1e-6)


@st.composite
def masks(draw) -> tuple[Tensor, Tensor, int]:
    """Return a mask ``(B, N, N)`` of any kind that can be honoured, real tokens, past keys."""
    tokens, batch = draw(st.integers(2, 7)), draw(st.integers(1, 3))
    flags = st.lists(st.booleans(), min_size=tokens, max_size=tokens)
    real = torch.tensor([draw(flags) for _ in range(batch)])
    real[:, -1] = True
    kind = draw(st.sampled_from(['full', 'causal', 'prefix', 'past']))
    keep = torch.ones(batch, tokens, tokens, dtype=torch.bool)
    if kind != 'full':
        keep = keep.tril()
    if kind == 'prefix':
        begin, end = (
            torch.tensor([[draw(st.integers(0, tokens))] for _ in range(batch)]) for _ in '12'
        )
        inside = (torch.arange(tokens) >= begin) & (torch.arange(tokens) < end)
        keep |= inside[:, :, None] & inside[:, None]
    past = draw(st.integers(0, tokens - 1)) if kind == 'past' else 0
    real[:, past:] |= kind == 'past'  # new tokens are no padding
    return keep & real[:, None], real, past


@settings(deadline=None, max_examples=80)
@given(masks(), st.booleans(), st.integers(0, 9))
def test_any_mask_is_honoured(drawn, additive, seed):
    """The linear forms give every real query what the dense reference gives it."""
    keep, real, past = drawn
    torch.manual_seed(seed)
    backend = create('sara', head_dim=SIZE, heads=HEADS, options={'function': 'square'})
    q, k, v = torch.randn(3, len(keep), HEADS, keep.shape[-1], SIZE)
    mask = keep[:, None, past:]
    if additive:
        mask = torch.zeros(mask.shape).masked_fill(~mask, torch.finfo(torch.float32).min)
    seen = read_mask(mask, causal=bool(past))
    with torch.no_grad():
        mixed = attend(backend, q[:, :, past:], k, v, seen).transpose(1, 2)
        expected = dense(q, k, v, keep)[:, :, past:].transpose(1, 2)
    assert mixed.isfinite().all()
    rows = real[:, past:]
    torch.testing.assert_close(mixed[rows], expected[rows], rtol=1e-4, atol=1e-4)


def test_what_a_mask_says():
    """No mask is carried along where none is needed."""
    ones = torch.ones(1, 1, 4, 4, dtype=torch.bool)
    assert read_mask(ones, causal=True) == (False, None, None)
    assert read_mask(ones.tril(), causal=True) == (True, None, None)
    assert read_mask(ones[:, :, :1], causal=True) == (True, None, None)
    assert read_mask(ones[:, :, :1], causal=False) == (False, None, None)


def windowed(ones: Tensor) -> Tensor:
    """Return a causal mask with a window of two tokens."""
    return ones.tril() & ones.triu(-1)


def two_blocks(ones: Tensor) -> Tensor:
    """Return a causal mask with two blocks whose tokens see each other."""
    keep = ones.tril()
    keep[..., :2, :2] = keep[..., 3:, 3:] = True
    return keep


def by_head(ones: Tensor) -> Tensor:
    """Return another mask for the second head."""
    return torch.cat((ones, ones.tril()), dim=1)


@pytest.mark.parametrize(
    ('mask_of', 'words'),
    [
        (windowed, 'neither padding, causal nor prefix'),
        (two_blocks, 'neither padding, causal nor prefix'),
        (by_head, 'not the same for every head'),
        (lambda ones: ones.float() * -0.5, 'adds a bias to the scores'),
        (lambda ones: ones[0], 'not the same for every head'),
        (lambda ones: ones[:, :, :2].tril(), 'the newest keys of the cache are masked'),
    ],
)
def test_other_masks_are_refused(mask_of, words):
    """Each says what linear attention lacks."""
    ones = torch.ones(1, 1, 5, 5, dtype=torch.bool)
    with pytest.raises(ParameterError, match=words):
        read_mask(mask_of(ones), causal=True)
