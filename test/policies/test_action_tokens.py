"""Action tokens are bin centres and survive the way there and back."""

import math

from policies.small_models import action
import pytest
import torch

from sara_ros.core import ParameterError
from sara_ros.policies.action_tokens import ActionTokens, mean_entropy


def test_round_trip_is_within_half_a_bin():
    """Any value inside the ranges comes back within half a bin, in each step and dimension."""
    tokens = ActionTokens(action(horizon=3))
    low, high = (torch.from_numpy(end) for end in (action().low, action().high))
    values = low + (high - low) * torch.rand(50, 3, 8, generator=torch.Generator().manual_seed(0))
    encoded = tokens.encode(values)
    assert encoded.shape == (50, 24)
    error = (tokens.decode(encoded) - values).abs()
    assert (error <= (high - low) / 256 / 2 * 1.001).all()


def test_decodes_to_bin_centres():
    """The first bin is half a bin above the low end, not the low end (RT-1's decoder is)."""
    tokens = ActionTokens(action())
    first = tokens.decode(torch.zeros(8, dtype=torch.long))[0]
    last = tokens.decode(torch.full((8,), 255))[0]
    width = torch.from_numpy(action().high - action().low) / 256
    torch.testing.assert_close(first, torch.from_numpy(action().low) + width / 2)
    torch.testing.assert_close(last, torch.from_numpy(action().high) - width / 2)
    assert torch.equal(tokens.encode(tokens.decode(torch.arange(8) * 30)), torch.arange(8) * 30)


def test_values_outside_are_clipped():
    """Values beyond the ranges take the outermost bins."""
    tokens = ActionTokens(action())
    assert (tokens.encode(torch.full((1, 8), -99.0)) == 0).all()
    assert (tokens.encode(torch.full((1, 8), 99.0)) == 255).all()


def test_expectation_of_certainty_is_the_centre():
    """With all weight in one bin both ways of decoding agree; between two it is the middle."""
    tokens = ActionTokens(action())
    chosen = torch.arange(8) * 20
    certain = torch.nn.functional.one_hot(chosen, 256).float()
    torch.testing.assert_close(tokens.expectation(certain), tokens.decode(chosen))
    half = (certain + torch.nn.functional.one_hot(chosen + 2, 256)) / 2
    torch.testing.assert_close(tokens.expectation(half), tokens.decode(chosen + 1))


def test_own_ranges():
    """Ranges given beside the spec replace the spec's, and must have its size."""
    tokens = ActionTokens(action(), low=[-1.0] * 8, high=[1.0] * 8)
    torch.testing.assert_close(tokens.decode(torch.full((8,), 128))[0], torch.full((8,), 1 / 256))
    with pytest.raises(ParameterError, match='2 and 2 range ends for 8 dimensions'):
        ActionTokens(action(), low=[0, 0], high=[1, 1])
    with pytest.raises(ParameterError, match='bins is 1'):
        ActionTokens(action(), bins=1)


def test_entropy_in_nats():
    """A uniform distribution has ln(256) nats, a certain one none."""
    flat = torch.full((16, 256), 1 / 256)
    flat[8:] = torch.nn.functional.one_hot(torch.arange(8), 256)
    torch.testing.assert_close(mean_entropy(flat, 2), torch.tensor([math.log(256), 0.0]))
