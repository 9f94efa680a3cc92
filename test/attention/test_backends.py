"""Each backend computes its naive reference, outputs and gradients alike."""

from __future__ import annotations

from attention.cases import (
    CASES,
    SHAPES,
    WINDOW,
    assert_same,
    backend,
    inputs,
    padding,
    reference,
)
import pytest
import torch

from sara_ros.attention import backend_names, create
from sara_ros.core import ParameterError


@pytest.mark.parametrize('shape', SHAPES)
@pytest.mark.parametrize(('name', 'options'), CASES)
def test_bidirectional(name, options, shape):
    """The standard form, with as many queries as keys and with fewer."""
    made = backend(name, options, shape)
    for queries in (None, 3):
        q, k, v = inputs(shape, queries=queries)
        leaves = [q, k, v, *made.parameters()]
        assert_same(made(q, k, v), reference(made)(q, k, v), leaves)


@pytest.mark.parametrize('shape', SHAPES)
@pytest.mark.parametrize(('name', 'options'), WINDOW)
def test_window_linear(name, options, shape):
    """The banded form is the one that builds all pairs, whatever the window and the map."""
    made = backend(name, options, shape)
    q, k, v = inputs(shape)
    leaves = [q, k, v, *made.parameters()]
    assert_same(made(q, k, v), reference(made)(q, k, v), leaves)


@pytest.mark.parametrize('shape', SHAPES[1:])
@pytest.mark.parametrize(('name', 'options'), [*CASES, *WINDOW])
def test_key_mask(name, options, shape):
    """A masked key has no influence, wherever it stands."""
    made, mask = backend(name, options, shape), padding(shape)
    q, k, v = inputs(shape)
    leaves = [q, k, v, *made.parameters()]
    assert_same(made(q, k, v, mask), reference(made)(q, k, v, key_mask=mask), leaves)
    kept = mask[:, None, :, None]
    other = made(q, torch.where(kept, k, 1e3 * k), torch.where(kept, v, 1e3 * v), mask)
    torch.testing.assert_close(other, made(q, k, v, mask), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('shape', SHAPES[1:])
@pytest.mark.parametrize(('name', 'options'), [*CASES, *WINDOW])
def test_padding_at_the_end(name, options, shape):
    """The masked form is the form without those tokens."""
    made, keep = backend(name, options, shape), shape[2] // 2
    q, k, v = inputs(shape)
    mask = (torch.arange(shape[2]) < keep).repeat(shape[0], 1)
    short = made(*(x[:, :, :keep] for x in (q, k, v)))
    torch.testing.assert_close(made(q, k, v, mask)[:, :, :keep], short, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('shape', SHAPES)
@pytest.mark.parametrize(('name', 'options'), CASES)
def test_offset(name, options, shape):
    """PCT's double normalisation, with shared queries and keys and with separate ones."""
    made = backend(name, options, shape)
    q, k, v = inputs(shape)
    for queries in (k, q):
        expected = reference(made, '_offset')(queries, k, v)
        assert_same(made.offset(queries, k, v), expected, [q, k, v, *made.parameters()])


@pytest.mark.parametrize('shape', SHAPES[1:])
@pytest.mark.parametrize(('name', 'options'), CASES)
def test_offset_mask(name, options, shape):
    """A masked point is neither query nor key, and its row is zero."""
    made, mask = backend(name, options, shape), padding(shape)
    q, k, v = inputs(shape)
    result = made.offset(q, k, v, mask)
    expected = reference(made, '_offset')(q, k, v, key_mask=mask)
    assert_same(result, expected, [q, k, v, *made.parameters()])
    assert (result[~mask[:, None].expand(result.shape[:3])] == 0).all()
    kept = mask[0]
    alone = made.offset(*(x[:1, :, kept] for x in (q, k, v)))
    torch.testing.assert_close(result[:1, :, kept], alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(('name', 'options'), [*CASES, WINDOW[0]])
def test_no_key_takes_part(name, options):
    """A row of the batch that is all padding gives zeros, and finite gradients."""
    made = backend(name, options, SHAPES[1])
    q, k, v = inputs(SHAPES[1])
    mask = torch.ones(2, 17, dtype=torch.bool)
    mask[1] = False
    forms = [made] + ([made.offset] if made.has('offset') else [])
    for form in forms:
        result = form(q, k, v, mask)
        assert (result[1] == 0).all()
        assert result[0].abs().sum() > 0
        for grad in torch.autograd.grad(result.square().sum(), (k, v), allow_unused=True):
            assert grad is None or grad.isfinite().all()


@pytest.mark.parametrize('name', backend_names())
def test_masks_are_checked(name):
    """A mask over other tokens, or of floats, is refused with what was expected."""
    made = create(name, head_dim=4, heads=1)
    x = torch.randn(2, 1, 5, 4)
    for mask in (torch.ones(2, 4, dtype=torch.bool), torch.ones(2, 5)):
        forms = [made] + ([made.offset] if made.has('offset') else [])
        for form in forms:
            with pytest.raises(
                ParameterError, match=r'key_mask .* expected bool of shape \(2, 5\)'
            ):
                form(x, x, x, mask)


@pytest.mark.parametrize('name', backend_names('offset'))
def test_offset_needs_pairs(name):
    """PCT's form has one query for each key."""
    q, k = torch.randn(1, 1, 3, 4), torch.randn(1, 1, 5, 4)
    with pytest.raises(ParameterError, match='3 queries and 5 keys'):
        create(name, head_dim=4, heads=1).offset(q, k, k)


def test_textbook_linear_attention_is_not_pct():
    """Guards the reference: single normalisation gives another result."""
    made = create('sara', head_dim=16, heads=2)
    q, k, v = inputs(SHAPES[2])
    assert (made.offset(k, k, v) - made(k, k, v)).abs().max() > 0.1


@pytest.mark.parametrize(
    ('name', 'options'), [('sara', {'function': 'exp'}), ('performer', {}), ('hedgehog', {})]
)
def test_large_scores_do_not_overflow(name, options):
    """Exponential features stay finite in every form, and so do their gradients."""
    made = create(name, head_dim=8, heads=1, options=options)
    x = (torch.randn(1, 1, 300, 8) * 300).requires_grad_()
    joint = create('window+linear', head_dim=8, heads=1, options={'linear': name})
    state = made.absorb(None, x, x)
    for out in (
        made(x, x, x), made.offset(x, x, x), made.causal(x, x, x), made.read(state, x),
        joint(x, x, x),
    ):  # fmt: skip
        assert out.isfinite().all()
        assert torch.autograd.grad(out.square().sum(), x, retain_graph=True)[0].isfinite().all()
