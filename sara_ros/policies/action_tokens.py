"""Action tokens: every dimension of an action cut into equal bins, as in RT-1 and RT-2."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor

from sara_ros.core import ActionSpec, ParameterError

BINS: Final = 256


def token_ranges(
    action: ActionSpec, low: Sequence[float] = (), high: Sequence[float] = ()
) -> tuple[Tensor, Tensor]:
    """
    Return the ends of each dimension's range, those of ``action`` unless others are given.

    :raises ParameterError: for ranges of another size.
    """
    size = len(action.dimensions)
    if not low:
        return torch.from_numpy(action.low), torch.from_numpy(action.high)
    if not len(low) == len(high) == size:
        raise ParameterError(
            f'action tokens: {len(low)} and {len(high)} range ends for {size} dimensions'
        )
    return torch.tensor(low), torch.tensor(high)


class ActionTokens:
    """
    Translate actions to tokens and back, on the device they are on.

    Each dimension is cut into ``bins`` equal bins between the low and high of the action spec.
    A chunk of ``horizon`` steps becomes ``horizon * dimensions`` tokens, step by step. Decoding
    returns bin *centres*; the lower edges that RT-1's public decoder returns are half a bin low.
    """

    def __init__(
        self,
        action: ActionSpec,
        bins: int = BINS,
        *,
        low: Sequence[float] = (),
        high: Sequence[float] = (),
    ) -> None:
        """
        Take the ranges from ``action``, or ``low`` and ``high`` where they are given.

        :raises ParameterError: for fewer than two bins, and for ranges of another size.
        """
        lowest, highest = token_ranges(action, low, high)
        if bins < 2:
            raise ParameterError(f'action tokens: bins is {bins}; must be at least 2')
        self.bins = bins
        self.horizon = action.horizon
        self.dimensions = len(action.dimensions)
        self.count = self.horizon * self.dimensions
        self.low = lowest.repeat(self.horizon)  # (T,)
        self.width = (highest - lowest).repeat(self.horizon) / bins

    def encode(self, values: Tensor) -> Tensor:
        """Return tokens ``(..., T)`` of actions ``(..., horizon, dimensions)``, clipped."""
        flat = values.reshape(*values.shape[:-2], self.count)
        low, width = self.low.to(flat.device), self.width.to(flat.device)
        tokens = ((flat - low) / width).floor().long()
        return tokens.clamp(0, self.bins - 1)

    def decode(self, tokens: Tensor) -> Tensor:
        """Return the bin centres ``(..., horizon, dimensions)`` of tokens ``(..., T)``."""
        return self._to_actions(tokens.float())

    def expectation(self, probabilities: Tensor) -> Tensor:
        """Return the mean of the centres under ``(..., T, bins)``, as actions."""
        index = torch.arange(self.bins, dtype=probabilities.dtype, device=probabilities.device)
        return self._to_actions((probabilities * index).sum(dim=-1))

    def _to_actions(self, index: Tensor) -> Tensor:
        flat = self.low.to(index.device) + (index + 0.5) * self.width.to(index.device)
        return flat.reshape(*flat.shape[:-1], self.horizon, self.dimensions)


def mean_entropy(probabilities: Tensor, horizon: int) -> Tensor:
    """Return the mean token entropy of each step in nats, ``(..., horizon)``."""
    entropy = -(probabilities * probabilities.clamp_min(1e-12).log()).sum(dim=-1)  # (..., T)
    return entropy.reshape(*entropy.shape[:-1], horizon, -1).mean(dim=-1)
