"""Numbers as text survive the way there and back."""

from policies.small_models import action
import pytest
import torch

from sara_ros.core import ParameterError
from sara_ros.policies.number_tokens import SYMBOLS, NumberTokens, valid_symbols


@pytest.mark.parametrize('digits', [1, 2, 3])
def test_round_trip_is_within_half_a_digit(digits):
    """Any value inside the ranges comes back within half of the last digit."""
    tokens = NumberTokens(action(horizon=3), digits)
    low, high = (torch.from_numpy(end) for end in (action().low, action().high))
    values = low + (high - low) * torch.rand(50, 3, 8, generator=torch.Generator().manual_seed(0))
    encoded = tokens.encode(values)
    assert encoded.shape == (50, tokens.count) == (50, 3 * 8 * (1 + digits))
    error = (tokens.decode(encoded) - values).abs()
    assert (error <= (high - low) / 2 / (10**digits - 1) / 2 * 1.001).all()
    assert torch.equal(tokens.encode(tokens.decode(encoded)), encoded)


def test_text():
    """The middle of the range is zero, its ends are all nines, and what is outside is clipped."""
    tokens = NumberTokens(action(), low=[-1.0] * 8, high=[1.0] * 8)
    values = torch.tensor([[0.0, -0.001, 1.0, -1.0, 9.0, -9.0, 7 / 99, -0.5]])
    assert tokens.text(tokens.encode(values)) == '+00 +00 +99 -99 +99 -99 +07 -50'


def test_valid_symbols():
    """A sign begins each number; digits follow."""
    valid = valid_symbols(6, 2)
    assert valid.shape == (6, len(SYMBOLS))
    assert ''.join(s for s, ok in zip(SYMBOLS, valid[3], strict=True) if ok) == '+-'
    assert ''.join(s for s, ok in zip(SYMBOLS, valid[5], strict=True) if ok) == '0123456789'
    tokens = NumberTokens(action())
    encoded = tokens.encode(torch.rand(20, 1, 8) * 4 - 1)
    assert valid_symbols(24, 2).expand(20, -1, -1).gather(2, encoded[..., None]).all()


def test_targets_are_the_text_where_it_is_certain():
    """A narrow spread is the text itself; a wide one leans to neighbouring digits."""
    tokens = NumberTokens(action(), low=[-1.0] * 8, high=[1.0] * 8)
    values = torch.tensor([[0.51, -0.25, 0.1, 0.7, -0.9, 0.33, -0.66, 0.0]])
    narrow, wide = tokens.targets(values, 1e-4), tokens.targets(values, 0.02)
    assert torch.equal(narrow.argmax(-1), tokens.encode(values))
    assert (narrow.amax(-1) > 0.9999).all()
    torch.testing.assert_close(wide.sum(-1), torch.ones(24))
    assert (wide[~valid_symbols(24, 2)] == 0).all()
    signs = wide[::3]
    assert signs[7, 0] == pytest.approx(0.56, abs=0.05)  # 0.0 has a sign by convention only
    assert signs[0, 0] > 0.999
    # 0.33 is +33: its first digit is 3 or, less likely, 2 or 4, and nothing else.
    first = wide[5 * 3 + 1]
    assert first[5] > 0.7
    assert 0.3 > first[4] > 0.1 > first[6] > 0.01 > first[3]


def test_targets_of_a_digit_depend_on_those_before_it():
    """Behind a 3, what is nearly 30 ends in small digits; the 9 of 29 belongs behind a 2."""
    tokens = NumberTokens(action(), low=[-1.0] * 8, high=[1.0] * 8)
    last = tokens.targets(torch.full((1, 8), 0.3), 0.02)[2, 2:]
    assert last.argmax() == 0
    assert (last.diff() < 0).all()
    assert last[9] < 0.05


def test_refused():
    """Ranges of another size and numbers without digits are named."""
    with pytest.raises(ParameterError, match='2 and 2 range ends for 8 dimensions'):
        NumberTokens(action(), low=[0, 0], high=[1, 1])
    with pytest.raises(ParameterError, match='digits is 0'):
        NumberTokens(action(), 0)
