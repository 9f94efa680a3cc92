"""What the maps start from, what they estimate, and what is saved of them."""

from __future__ import annotations

import pytest
import torch

from sara_ros.attention import create
from sara_ros.attention.performer import orthogonal_rows


def test_performer_estimates_softmax():
    """With many features FAVOR+ is close to softmax attention, in both of its forms."""
    torch.manual_seed(0)
    q, k, v = torch.randn(3, 1, 2, 40, 8) * 0.5
    made = create('performer', head_dim=8, heads=2, options={'features': 8192})
    exact = create('softmax', head_dim=8, heads=2)
    for form, scale in (('forward', 1), ('causal', 1), ('offset', 0.6)):
        close, true = (getattr(x, form)(scale * q, scale * k, v) for x in (made, exact))
        assert (close - true).square().mean() < 5e-3 * true.square().mean(), form


def test_performer_rows():
    """Rows are orthogonal within a block, and as long as normal ones."""
    rows = orthogonal_rows(2000, 16, torch.Generator().manual_seed(0))
    for block in rows[:160].split(16):
        products = block @ block.T
        torch.testing.assert_close(products, products.diag().diag(), rtol=0, atol=1e-4)
    assert abs(float(rows.square().sum(-1).mean()) - 16) < 0.5
    assert abs(float(rows.mean())) < 0.02


def test_performer_is_complete_when_saved():
    """The directions travel with the weights; a layer of another seed takes them over."""
    first, second = (
        create('performer', head_dim=8, heads=2, options={'seed': seed}).eval() for seed in (0, 1)
    )
    q, k, v = torch.randn(3, 1, 2, 9, 8)
    assert not torch.equal(first(q, k, v), second(q, k, v))
    second.load_state_dict(first.state_dict())
    assert torch.equal(first(q, k, v), second(q, k, v))


@pytest.mark.parametrize(('head_dim', 'features'), [(1, 1), (8, 17), (64, 267)])
def test_performer_default_size(head_dim, features):
    """``D ln D`` features, at least one."""
    made = create('performer', head_dim=head_dim, heads=1)
    assert made.projection.shape == (1, features, head_dim)


def test_hedgehog_starts_as_identity():
    """Features of the first layer are the softmax of ``[x, -x]``, and can be learned."""
    made = create('hedgehog', head_dim=8, heads=2)
    x = torch.randn(1, 2, 5, 8)
    expected = torch.cat((x, -x), dim=-1).softmax(dim=-1)
    torch.testing.assert_close(made.map_keys(x).values, expected)
    made(x, x, x).square().sum().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in made.parameters())


@pytest.mark.parametrize(
    ('linear', 'options'),
    [
        ('sara', {}), ('sara', {'function': 'exp'}), ('performer', {}), ('hedgehog', {}),
    ],
)  # fmt: skip
def test_window_and_map_start_on_one_scale(linear, options):
    """On normal inputs far keys get the share of the weight that softmax gives them."""
    torch.manual_seed(0)
    settings = {'window': 8, 'linear': linear, 'linear_options': options}
    made = create('window+linear', head_dim=16, heads=2, options=settings)
    q, k = torch.randn(2, 4, 2, 200, 16)
    far = torch.ones(4, 2, 200, 1)
    far[:, :, 80:120] = 0
    share = made(q, k, far)[:, :, 95:105].mean()
    exact = create('softmax', head_dim=16, heads=2)(q, k, far)[:, :, 95:105].mean()
    assert abs(float((share - exact).detach())) < 0.1


def test_window_that_covers_all_is_softmax():
    """Then nothing is left to the linear map."""
    q, k, v = torch.randn(3, 2, 2, 20, 8)
    made = create('window+linear', head_dim=8, heads=2, options={'window': 19})
    exact = create('softmax', head_dim=8, heads=2)(q, k, v)
    torch.testing.assert_close(made(q, k, v), exact, rtol=1e-4, atol=1e-5)


def test_window_needs_pairs():
    """Neighbours are those at the query's own place."""
    q, k = torch.randn(1, 1, 3, 4), torch.randn(1, 1, 5, 4)
    with pytest.raises(Exception, match='3 queries and 5 keys; the bidirectional form'):
        create('window+linear', head_dim=4, heads=1)(q, k, k)
