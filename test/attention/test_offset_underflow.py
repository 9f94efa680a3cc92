"""The second normalisation of PCT must survive columns that no row gives weight to."""

import torch

from sara_ros.attention import create


def test_points_that_nobody_looks_at():
    """Points in one direction all look at the longest; the others were 0 / 0."""
    torch.manual_seed(0)
    lengths = torch.linspace(10, 60, 40)[:, None]
    shared = (lengths * torch.ones(8) / 8**0.5)[None, None].requires_grad_()
    v = torch.randn(1, 1, 40, 16, requires_grad=True)
    out = create('softmax', head_dim=8, heads=1).offset(shared, shared, v)
    assert out.isfinite().all()
    for grad in torch.autograd.grad(out.square().sum(), (shared, v)):
        assert grad.isfinite().all()
