"""Numbers as text: a sign and decimal digits, as in the vector coding of SARA-RT."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor

from sara_ros.core import ActionSpec, ParameterError
from sara_ros.policies.action_tokens import token_ranges

SYMBOLS: Final = ('+', '-', *'0123456789')
"""What a token stands for, by its index."""

_SIGNS: Final = 2


class NumberTokens:
    """
    Translate actions to the text of their numbers and back, on the device they are on.

    Each number is written in shares of half its range, counted from the middle: with two digits
    the text ``-07`` is 7/99 of the way from the middle to the low end. A chunk of ``horizon``
    steps becomes ``horizon * dimensions`` such texts of ``1 + digits`` tokens each.
    """

    def __init__(
        self,
        action: ActionSpec,
        digits: int = 2,
        *,
        low: Sequence[float] = (),
        high: Sequence[float] = (),
    ) -> None:
        """
        Take the ranges from ``action``, or ``low`` and ``high`` where they are given.

        :raises ParameterError: for digits below 1, and for ranges of another size.
        """
        lowest, highest = token_ranges(action, low, high)
        if digits < 1:
            raise ParameterError(f'number tokens: digits is {digits}; must be at least 1')
        self.digits = digits
        self.horizon = action.horizon
        self.dimensions = len(action.dimensions)
        self.count = self.horizon * self.dimensions * (1 + digits)
        self._largest = 10**digits - 1
        self._middle = (lowest + highest) / 2
        self._half = (highest - lowest) / 2

    def encode(self, values: Tensor) -> Tensor:
        """Return tokens ``(..., T)`` of actions ``(..., horizon, dimensions)``, clipped."""
        return self._texts(self._scaled(values).round().long()).flatten(-3)

    def decode(self, tokens: Tensor) -> Tensor:
        """
        Return the actions ``(..., horizon, dimensions)`` of tokens ``(..., T)``.

        Tokens must be valid at their places, as :func:`valid_symbols` says.
        """
        sizes = (self.horizon, self.dimensions, 1 + self.digits)
        texts = tokens.reshape(*tokens.shape[:-1], *sizes)
        sign = 1 - 2 * texts[..., 0]
        size = ((texts[..., 1:] - _SIGNS) * self._weights(tokens)).sum(dim=-1)
        share = (sign * size).float() / self._largest
        values: Tensor = self._middle.to(share.device) + share * self._half.to(share.device)
        return values

    def targets(self, values: Tensor, sigma: float) -> Tensor:
        """
        Return a distribution over symbols at each place, ``(..., T, symbols)``.

        Behind it is a Gaussian over numbers around the exact value, ``sigma`` in shares of the
        range; each place has the share of it that begins like the nearest text does.
        """
        exact = self._scaled(values)[..., None]  # (..., H, D, 1)
        numbers = torch.arange(-self._largest, self._largest + 1, device=values.device)  # (K,)
        texts = self._texts(numbers)  # (K, P)
        nearest = self._texts(exact[..., 0].round().long())  # (..., H, D, P)
        gaps = (numbers - exact) / (2 * sigma * self._largest)
        mass = (-0.5 * gaps.square()).softmax(dim=-1)  # (..., H, D, K)
        places = []
        for place in range(1 + self.digits):
            shown = torch.nn.functional.one_hot(texts[:, place], len(SYMBOLS)).to(mass.dtype)
            share = mass @ shown
            places.append(share / share.sum(dim=-1, keepdim=True))
            mass = mass * (texts[:, place] == nearest[..., place, None])
        return torch.stack(places, dim=-2).flatten(-4, -2)

    def text(self, tokens: Tensor) -> str:
        """Return tokens ``(T,)`` as people read them, numbers separated by spaces."""
        rows = tokens.reshape(-1, 1 + self.digits).tolist()
        return ' '.join(''.join(SYMBOLS[token] for token in row) for row in rows)

    def _scaled(self, values: Tensor) -> Tensor:
        middle, half = self._middle.to(values.device), self._half.to(values.device)
        scaled: Tensor = ((values - middle) / half).clamp(-1, 1) * self._largest
        return scaled

    def _texts(self, numbers: Tensor) -> Tensor:
        """Return the tokens ``(..., 1 + digits)`` of whole numbers ``(...)``."""
        digits = numbers.abs()[..., None] // self._weights(numbers) % 10 + _SIGNS
        return torch.cat(((numbers < 0).long()[..., None], digits), dim=-1)

    def _weights(self, like: Tensor) -> Tensor:
        powers = range(self.digits - 1, -1, -1)
        return torch.tensor([10**power for power in powers], device=like.device)


def valid_symbols(count: int, digits: int) -> Tensor:
    """Return ``(count, symbols)`` bool: which tokens may stand at each of ``count`` places."""
    places = torch.arange(count)[:, None] % (1 + digits)
    signs = torch.arange(len(SYMBOLS)) < _SIGNS
    return signs == (places == 0)


__all__ = ['SYMBOLS', 'NumberTokens', 'valid_symbols']
