"""Algebra that holds for every input."""

from __future__ import annotations

from attention.cases import CASES, MAPS, backend
from hypothesis import given, settings
from hypothesis import strategies as st
import torch
from torch import Tensor

from sara_ros.attention import Projection, create, fold
from sara_ros.attention.taylor import first_order

settings.register_profile('attention', max_examples=40, deadline=None, derandomize=True)
settings.load_profile('attention')

SHAPE = (2, 2, 7, 4)
seeds = st.integers(0, 2**31)
tokens = st.integers(1, 40)
scales = st.floats(0.05, 4.0)
POSITIVE = [case for case in MAPS if case[1].get('function') not in (None, 'relu', 'square')]
POSITIVE += [case for case in MAPS if case[0] in ('performer', 'hedgehog')]


def draw(seed: int, *sizes: tuple[int, ...], scale: float = 1.0) -> list[Tensor]:
    """Return normal tensors of these sizes."""
    generator = torch.Generator().manual_seed(seed)
    return [scale * torch.randn(*size, generator=generator) for size in sizes]


@given(
    seed=seeds, count=tokens, features=st.integers(1, 9), heads=st.integers(1, 3),
    function=st.sampled_from(('relu', 'exp', 'square')), bias=st.booleans(),
)  # fmt: skip
def test_folding_identity(seed, count, features, heads, function, bias):
    """Folded projections and ``f`` alone give what projections and ``v * f(G x)`` give."""
    options = {'function': function, 'features': features, 'initialisation': 'random'}
    torch.manual_seed(seed)
    made = create('sara', head_dim=4, heads=heads, options=options)
    for scale in (made.q_scale, made.k_scale):
        torch.nn.init.uniform_(scale, 0.1, 5.0)
    weight, offset = draw(seed, (2, heads * 4, 6), (2, heads * 4))
    x, v = draw(seed + 1, (1, count, 6), (1, heads, count, 3))
    pairs = zip(weight, offset, strict=True)
    projections = [Projection(w / 3, b if bias else None) for w, b in pairs]
    folded = fold(made, *projections)

    def split(projection: Projection) -> Tensor:
        y = torch.nn.functional.linear(x, *projection)
        return y.unflatten(-1, (heads, -1)).transpose(1, 2)

    with torch.no_grad():
        expected = made(*map(split, projections), v)
        result = folded.attention(*map(split, folded[:2]), v)
    torch.testing.assert_close(result, expected, rtol=2e-4, atol=2e-5)


@given(seed=seeds, count=tokens, scale=scales, shift=st.floats(-50, 50))
def test_taylor_identity(seed, count, scale, shift):
    """Centred keys sum to zero, so the weights of each query sum to one whatever they are."""
    q, k = draw(seed, (1, 2, 5, 4), (1, 2, count, 4), scale=scale)
    centred = k + shift - (k + shift).mean(dim=-2, keepdim=True)
    assert centred.sum(dim=-2).abs().max() < 1e-4 * (1 + abs(shift)) * count
    total = first_order(q, centred).sum(dim=-1)
    torch.testing.assert_close(total, torch.ones_like(total), rtol=0, atol=2e-4 * (1 + abs(shift)))
    made, ones = create('taylor', head_dim=4, heads=2), torch.ones(1, 2, count, 1)
    torch.testing.assert_close(made(q, k + shift, ones), torch.ones(1, 2, 5, 1), rtol=0, atol=0.01)
    v = torch.randn(1, 2, count, 3, generator=torch.Generator().manual_seed(seed))
    tolerance = 1e-3 * scale * (1 + abs(shift))
    torch.testing.assert_close(made(q, k + shift, v), made(q, k, v), rtol=1e-3, atol=tolerance)


@given(
    seed=seeds, case=st.sampled_from(CASES), window=st.integers(1, 4),
    lengths=st.lists(st.integers(1, 5), min_size=1, max_size=12),
)  # fmt: skip
def test_recurrent_is_the_window(seed, case, window, lengths):
    """Absorbing and releasing any frames ends where computing the window anew begins."""
    made = backend(*case, SHAPE)
    stream = [tuple(draw(seed + i, (2, 2, n, 4), (2, 2, n, 4))) for i, n in enumerate(lengths)]
    (q,) = draw(seed - 1, (2, 2, 3, 4))
    state = None
    with torch.no_grad():
        for index, frame in enumerate(stream):
            state = made.absorb(state, *frame)
            if index >= window:
                state = made.release(state, *stream[index - window])
        k, v = (torch.cat(parts, dim=-2) for parts in zip(*stream[-window:], strict=True))
        torch.testing.assert_close(made.read(state, q), made(q, k, v), rtol=1e-3, atol=1e-4)
    assert state.tokens == sum(lengths[-window:])


@given(seed=seeds, case=st.sampled_from(POSITIVE), count=tokens, scale=scales)
def test_weights_of_positive_maps(seed, case, count, scale):
    """They sum to one in every form, and so lie between the smallest and the largest value."""
    made = backend(*case, SHAPE)
    q, k = draw(seed, (1, 2, count, 4), (1, 2, count, 4), scale=scale)
    values = torch.cat((torch.ones(1, 2, count, 1), draw(seed, (1, 2, count, 1))[0]), dim=-1)
    with torch.no_grad():
        for form in (made, made.causal):
            out = form(q, k, values)
            torch.testing.assert_close(out[..., 0], torch.ones_like(out[..., 0]))
            low, high = values[..., 1].amin(-1), values[..., 1].amax(-1)
            assert (out[..., 1] >= low[..., None] - 1e-4).all()
            assert (out[..., 1] <= high[..., None] + 1e-4).all()


@given(seed=seeds, case=st.sampled_from(CASES), count=tokens, scale=scales)
def test_order_of_keys(seed, case, count, scale):
    """Attention without positions is over a set: shuffled keys and values change nothing."""
    made = backend(*case, SHAPE)
    q, k, v = draw(seed, (1, 2, 5, 4), (1, 2, count, 4), (1, 2, count, 3), scale=scale)
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        shuffled = made(q, k[:, :, order], v[:, :, order])
        torch.testing.assert_close(shuffled, made(q, k, v), rtol=1e-3, atol=1e-4)
        paired = made.offset(*(x[:, :, order] for x in (k, k, v)))
        whole = made.offset(k, k, v)[:, :, order]
    torch.testing.assert_close(paired, whole, rtol=5e-3, atol=1e-3)
