"""Losses are small where they should be, and never give a gradient that is not finite."""

import torch

from sara_ros.training.losses import (
    content_loss,
    expectation_loss,
    pointing_loss,
    soft_targets,
    token_loss,
)
from sara_ros.training.pct_tabletop import choice_loss, motion_loss


def test_soft_targets_are_centred_on_the_value():
    """The mean of the distribution is the exact value, in bins; beyond the ends it is the end."""
    low, width = torch.tensor([-1.0, 0.0]), torch.tensor([0.01, 0.1])
    values = torch.tensor([[-0.5 + 0.005, 2.0 + 0.05], [99.0, -99.0]])
    targets = soft_targets(values, low, width, 256, sigma=2.0)
    torch.testing.assert_close(targets.sum(-1), torch.ones(2, 2))
    mean = targets @ torch.arange(256.0)
    torch.testing.assert_close(mean[0], torch.tensor([50.0, 20.0]), atol=1e-3, rtol=0)
    assert targets[1, 0].argmax() == 255
    assert targets[1, 1].argmax() == 0


def test_expectation_loss_is_zero_for_the_target():
    """Logits that are the logarithm of the target have the target's mean."""
    targets = soft_targets(torch.tensor([[0.3]]), torch.zeros(1), torch.full((1,), 0.01), 256, 2.0)
    logits = targets.clamp_min(1e-30).log()
    assert expectation_loss(logits, targets) < 1e-8
    assert expectation_loss(logits.roll(40, -1), targets) > 0.1
    assert token_loss(logits, targets) < token_loss(logits.roll(3, -1), targets)


def test_pointing_loss_leaves_out_what_is_hidden():
    """Rows with nothing to look at have no influence and finite gradients."""
    scores = torch.randn(2, 3, 10, requires_grad=True)
    shows = torch.zeros(2, 1, 10, dtype=torch.bool)
    shows[0, :, 4] = True
    loss = pointing_loss(scores, shows)
    loss.backward()
    torch.testing.assert_close(loss, -scores[0].log_softmax(-1)[:, 4].mean())
    assert scores.grad.isfinite().all()
    assert (scores.grad[1] == 0).all()
    assert pointing_loss(scores, torch.zeros_like(shows)) == 0


def test_shares_of_a_batch_have_its_loss_as_their_mean():
    """Two processes with 1 and 0 rows that count divide by 0.5, not by 1 and not by their own."""
    scores, shows = torch.randn(2, 1, 10), torch.zeros(2, 1, 10, dtype=torch.bool)
    shows[0, :, 4] = True
    predicted, shown, where = torch.randn(2, 3, 11), torch.zeros(2, 3).long(), torch.randn(2, 3, 5)
    shown[0, 1] = 2

    def half(count):
        return torch.tensor(0.5)

    pairs = (pointing_loss, (scores, shows)), (content_loss, (predicted, shown, where))
    for loss, values in pairs:
        parts = [loss(*(value[row : row + 1] for value in values), half) for row in (0, 1)]
        torch.testing.assert_close(torch.stack(parts).mean(), loss(*values))


def test_content_loss_without_objects_is_finite():
    """An image in which no token shows an object is rare, and must not end the training."""
    predicted = torch.randn(2, 4, 11, requires_grad=True)
    nothing = torch.zeros(2, 4, dtype=torch.long)
    loss = content_loss(predicted, nothing, torch.zeros(2, 4, 5))
    assert loss.isfinite()


def test_choices_are_pulled_off_the_common_one():
    """A gripper that should close once in a while never did under a loss linear in the error."""
    unit = torch.zeros(1, 8)
    unit[:, [0, 7]] = -1.0
    actions = torch.full((1, 8), 0.9, requires_grad=True)
    (grad,) = torch.autograd.grad(choice_loss(actions, unit), actions)
    assert (grad[0, [0, 7]] > 1).all()
    assert (grad[0, 1:7] == 0).all()
    (grad,) = torch.autograd.grad(motion_loss(actions, unit), actions)
    assert (grad[0, [0, 7]] == 0).all()
    right = torch.where(unit < 0, -2.0, 0.0)
    assert choice_loss(right, unit) < 1e-3
    assert motion_loss(right, unit) == 0
