"""What is timed is what it claims to be."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from sara_ros.attention import backend_names, create
from sara_ros.core import ParameterError
from sara_ros.evaluation.attention_speed.benchmark import FAMILIES
from sara_ros.evaluation.attention_speed.contenders import (
    CHOOSING,
    FOLDED,
    NAIVE,
    NAIVE_BYTES,
    SDPA,
    Cell,
    Contender,
    admit,
    naive_softmax,
    random_tokens,
    timed_backends,
)
from sara_ros.evaluation.attention_speed.history import (
    KV_CACHE,
    RECOMPUTED,
    Cached,
    Frame,
    Recurrent,
    Window,
)
from sara_ros.evaluation.attention_speed.offset import NaiveOffset

SMALL = Cell('bidirectional', 20, 8, 'float32', heads=2)


def pool(frames: int) -> list[Frame]:
    """Return one frame more than the window has."""
    cell = Cell('history', frames, 8, 'float32', heads=2)
    tensors = list(random_tokens(cell, *[(1, 2, 64, 8)] * (3 * (frames + 1))))
    return [Frame(*tensors[i : i + 3]) for i in range(0, len(tensors), 3)]


def test_every_backend_but_those_that_choose():
    """A new backend is timed without a change here."""
    assert set(timed_backends()) == set(backend_names()) - set(CHOOSING)


@pytest.mark.parametrize('family', FAMILIES)
def test_every_backend_is_in_each_family_or_said_to_lack_it(family):
    """Linear ones agree with their references, and nobody is dropped in silence."""
    heads = 1 if family.startswith('pct') else 2
    field = FAMILIES[family](Cell(family, 4, 8, 'float32', heads), timed_backends())
    assert not set(timed_backends()) - set(field.calls) - set(field.left_out)
    assert all(error < 1e-3 for error in field.errors.values())
    assert set(field.first_sec) == set(field.calls)
    if family != 'pct_layer':
        assert {'sara', 'taylor', 'sara' + FOLDED} <= set(field.errors)


def test_another_function_is_not_timed():
    """A fast wrong result is worth nothing."""
    q, k, v = random_tokens(SMALL, *[(1, 2, 20, 8)] * 3)
    wrong = Contender(
        lambda: create('uniform', head_dim=8, heads=2)(q, k, v), lambda: naive_softmax(q, k, v)
    )
    with pytest.raises(ParameterError, match=r"'fast'.*differs from its reference"):
        admit(SMALL, {'fast': wrong}, {})


def test_not_a_number_is_not_timed():
    """NaN compares false with everything, and must not pass for that."""
    broken = Contender(lambda: torch.tensor([float('nan')]), lambda: torch.ones(1))
    with pytest.raises(ParameterError, match='differs from its reference'):
        admit(SMALL, {'broken': broken}, {})


def test_naive_softmax_is_left_out_where_it_does_not_fit():
    """The memory is stated; nothing of that size is allocated."""
    cell = Cell('bidirectional', 2000, 4, 'float32', heads=63)
    assert 2 * 4 * cell.heads * cell.size**2 > NAIVE_BYTES
    field = FAMILIES['bidirectional'](cell, ('uniform',))
    assert NAIVE not in field.calls
    assert field.left_out[NAIVE] == 'needs 2.0 GB for all pairs of tokens'
    assert SDPA in field.calls


def test_naive_pct_is_pct():
    """The baseline of the PCT cells is the package's own softmax form."""
    x, v = random_tokens(SMALL, (1, 1, 20, 8), (1, 1, 20, 32))
    ours = create('softmax', head_dim=8, heads=1).offset(x, x, v)
    torch.testing.assert_close(NaiveOffset().offset(x, x, v), ours, rtol=1e-4, atol=1e-5)


def test_window_slides():
    """The frame that leaves is the oldest one, also after the pool was used up."""
    frames = pool(3)
    window = Window(frames)
    assert window.frames == frames[:3]
    for step in range(3, 11):
        entering, leaving = window.advance()
        assert entering is frames[step % 4]
        assert leaving is frames[(step - 3) % 4]
        assert window.frames[-1] is entering
        assert not any(frame is leaving for frame in window.frames)


@pytest.mark.parametrize('frames', [1, 3])
def test_streams_see_the_window(frames):
    """Cache and carried state return attention over the frames in the window, step by step."""
    cached, recurrent = (
        Cached(pool(frames)),
        Recurrent(create('sara', head_dim=8, heads=2), pool(frames)),
    )
    for _ in range(2 * frames + 3):
        output = cached()
        result = recurrent()
        tokens = recurrent.window.joined()
        query = recurrent.window.frames[-1].q
        expected = scaled_dot_product_attention(query, tokens.k, tokens.v)
        torch.testing.assert_close(output, expected, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(result, recurrent.reference(), rtol=1e-4, atol=1e-5)


def test_history_has_both_baselines():
    """Reading a cache, and attending over all frames again."""
    field = FAMILIES['history'](Cell('history', 2, 8, 'float32', 2), ('uniform',))
    assert field.calls[KV_CACHE]().shape == (1, 2, 64, 8)
    assert field.calls[RECOMPUTED]().shape == (1, 2, 128, 8)
