"""The recurrent forms: what was absorbed and not released is attended to, exactly."""

from __future__ import annotations

from attention.cases import CASES, backend, reference
import pytest
import torch
from torch import Tensor

from sara_ros.attention import AttentionBackend, State, backend_names, create, naive
from sara_ros.attention.state import KeyValues, Moments
from sara_ros.core import ParameterError

SHAPE = (2, 3, 6, 8)
Frame = tuple[Tensor, Tensor]


def frames(count: int, shape: tuple[int, ...] = SHAPE) -> list[Frame]:
    """Return keys and values of frames of 1 to 6 tokens."""
    generator = torch.Generator().manual_seed(0)

    def draw(tokens: int) -> Tensor:
        return torch.randn(*shape[:2], tokens, shape[3], generator=generator)

    return [(draw(1 + i % 6), draw(1 + i % 6)) for i in range(count)]


def slide(made: AttentionBackend, stream: list[Frame], window: int) -> State:
    """Return the state after ``stream``, with the last ``window`` frames in it."""
    state = None
    for index, frame in enumerate(stream):
        state = made.absorb(state, *frame)
        if index >= window:
            state = made.release(state, *stream[index - window])
    assert state is not None
    return state


@pytest.mark.parametrize('window', [1, 4, 12])
@pytest.mark.parametrize(('name', 'options'), CASES)
def test_sliding_window(name, options, window):
    """The state gives the bidirectional form over the window's tokens."""
    made, stream = backend(name, options, SHAPE), frames(12)
    q = torch.randn(2, 3, 5, 8)
    result = made.read(slide(made, stream, window), q)
    expected = naive.recurrent(reference(made), q, stream[-window:])
    torch.testing.assert_close(result, expected, rtol=2e-4, atol=2e-5)
    k, v = (torch.cat(parts, dim=-2) for parts in zip(*stream[-window:], strict=True))
    torch.testing.assert_close(result, made(q, k, v), rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize(('name', 'options'), CASES)
def test_long_stream_does_not_drift(name, options):
    """Released frames leave nothing behind: 600 of them, some of which were large."""
    shape = (1, 2, 6, 8)
    made, stream = backend(name, options, shape), frames(600, shape)
    for k, v in stream[:590:7]:
        k.mul_(3)
        v.mul_(1e3)
    with torch.no_grad():
        q = torch.randn(1, 2, 5, 8)
        result = made.read(slide(made, stream, 4), q)
        expected = naive.recurrent(reference(made), q, stream[-4:])
    torch.testing.assert_close(result, expected, rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize(
    ('name', 'options'),
    [('sara', {'function': 'exp'}), ('performer', {'features': 64}), ('taylor', {})],
)
def test_far_apart_keys(name, options):
    """Keys that would overflow or underflow are absorbed; once they left, the rest is intact."""
    made, (first, second, third) = create(name, head_dim=8, heads=3, options=options), frames(3)
    q = torch.randn(2, 3, 5, 8)
    state = made.absorb(None, 60 * first[0].abs(), first[1])
    assert made.read(state, q).isfinite().all()
    state = made.release(state, 60 * first[0].abs(), first[1])
    for frame in (second, third):
        state = made.absorb(state, *frame)
    expected = naive.recurrent(reference(made), q, [second, third])
    torch.testing.assert_close(made.read(state, q), expected, rtol=2e-4, atol=2e-5)


def test_larger_frame_leaves_the_window():
    """Exponentials that are ``e^12`` times larger hide the others only while they stay."""
    made = create('sara', head_dim=8, heads=3, options={'function': 'exp'})
    stream = frames(4)
    stream[1] = (stream[1][0] + 12 * 8**0.25, stream[1][1])
    q = torch.randn(2, 3, 5, 8)
    state = slide(made, stream[:3], 2)
    state = made.release(state, *stream[1])
    expected = naive.recurrent(reference(made), q, stream[2:3])
    torch.testing.assert_close(made.read(state, q), expected, rtol=2e-4, atol=2e-5)
    state = made.absorb(state, *stream[3])
    expected = naive.recurrent(reference(made), q, stream[2:])
    torch.testing.assert_close(made.read(state, q), expected, rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize('step', [-0.4, 10, 200])
def test_scale_of_a_stream_may_wander(step):
    """Exponents may rise from frame to frame by any amount, and fall by 12 over the stream."""
    made, count, window = create('sara', head_dim=8, heads=3, options={'function': 'exp'}), 30, 2
    stream = [(k + step * i * 8**0.25, v) for i, (k, v) in enumerate(frames(count))]
    state = slide(made, stream, window)
    assert isinstance(state, Moments)
    k, v = (torch.cat(parts, dim=-2) for parts in zip(*stream[-window:], strict=True))
    q = torch.randn(2, 3, 5, 8)
    torch.testing.assert_close(made.read(state, q), made(q, k, v), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(('name', 'options'), CASES)
def test_empty_again(name, options):
    """Nothing is left of a window whose frames were all released."""
    made, stream = backend(name, options, SHAPE), frames(24)
    for index, (_, v) in enumerate(stream):
        v.mul_(10.0 ** (index % 7))
    state = slide(made, stream, len(stream))
    for frame in stream:
        state = made.release(state, *frame)
    assert state.tokens == 0
    left = state.v if isinstance(state, KeyValues) else state.value
    assert left.abs().sum() == 0


@pytest.mark.parametrize(('name', 'options'), CASES)
def test_state_is_f32(name, options):
    """Sums are kept in f32 when the model is not; the softmax cache holds what it was given."""
    made = backend(name, options, SHAPE).bfloat16()
    (k, v), q = frames(6)[5], torch.randn(2, 3, 5, 8).bfloat16()
    state = made.absorb(None, k.bfloat16(), v.bfloat16())
    assert made.read(state, q).dtype == torch.bfloat16
    if isinstance(state, KeyValues):
        assert state.k.dtype == torch.bfloat16
        return
    assert isinstance(state, Moments)
    tensors = (state.sums, state.residue, state.exponent, state.anchor)
    assert {tensor.dtype for tensor in tensors if tensor is not None} == {torch.float32}


@pytest.mark.parametrize('name', backend_names('read'))
def test_misuse(name):
    """Reading nothing, releasing too much, and a state of another backend are refused."""
    made = create(name, head_dim=8, heads=3)
    two, one = frames(2)[::-1]
    state = made.absorb(None, *one)
    with pytest.raises(ParameterError, match='the state holds 1 tokens, 2 are needed'):
        made.release(state, *two)
    with pytest.raises(ParameterError, match='holds 0 tokens, 1 are needed; absorb before'):
        made.read(made.release(state, *one), torch.randn(2, 3, 5, 8))
    cached = name in ('softmax', 'auto')
    other = create('sara' if cached else 'softmax', head_dim=8, heads=3).absorb(None, *one)
    with pytest.raises(ParameterError, match=r'the state is a (Moments|KeyValues), not a'):
        made.read(other, torch.randn(2, 3, 5, 8))


def test_missing_form():
    """A backend without the form says so."""
    with pytest.raises(ParameterError, match='has no recurrent form'):
        create('window+linear', head_dim=8, heads=3).absorb(None, *frames(1)[0])
