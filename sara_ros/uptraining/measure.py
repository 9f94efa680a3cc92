"""How far the actions of a network are from those it should have learned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor

from sara_ros.core import ActionSpec
from sara_ros.policies.action_tokens import ActionTokens
from sara_ros.policies.pct_network import PCTOutput
from sara_ros.policies.rt2 import Coding
from sara_ros.policies.rt2_config import RT2Config
from sara_ros.policies.rt2_network import Generated


@dataclass(frozen=True, slots=True)
class HeldOutError:
    """
    Errors on frames that were not trained on.

    :param frames: how many there were.
    :param loss: task loss without the terms of training-only heads.
    :param action_error: mean absolute action error in shares of each dimension's range.
    :param mean_absolute_error: the same in the units of the action.
    :param per_dimension: mean absolute error of each dimension in its unit.
    :param parts: the terms of ``loss``.
    """

    frames: int
    loss: float
    action_error: float
    mean_absolute_error: float
    per_dimension: Mapping[str, float]
    parts: Mapping[str, float] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the values as JSON holds them."""
        return asdict(self)


class ErrorSum:
    """Gathers batches into a :class:`HeldOutError`."""

    def __init__(self, action: ActionSpec) -> None:
        """Begin without frames."""
        self._action = action
        self._errors: list[Tensor] = []
        self._parts: list[dict[str, float]] = []

    def add(self, parts: Mapping[str, Tensor], predicted: Tensor, wanted: Tensor) -> None:
        """Add losses of a batch, ``loss`` first, and actions ``(B, A)`` in their units."""
        self._errors.append((predicted - wanted).abs())
        size = len(predicted)
        self._parts.append({name: float(value) * size for name, value in parts.items()})

    def result(self) -> HeldOutError:
        """Return the means over all frames."""
        errors = torch.cat(self._errors).double().mean(dim=0)  # (A,)
        count = sum(len(batch) for batch in self._errors)
        means = {name: sum(p[name] for p in self._parts) / count for name in self._parts[0]}
        ranges = torch.from_numpy(self._action.high - self._action.low)
        return HeldOutError(
            frames=count,
            loss=means.pop('loss'),
            action_error=float((errors / ranges).mean()),
            mean_absolute_error=float(errors.mean()),
            per_dimension=dict(zip(self._action.names, errors.tolist(), strict=True)),
            parts=means,
        )


def token_actions(
    made: Generated, state: Tensor, tokens: Coding, config: RT2Config, action: ActionSpec
) -> Tensor:
    """Return the first actions ``(B, A)`` that an RT-2 policy would return for ``made``."""
    decoded = (
        tokens.expectation(made.probabilities)
        if config.decode == 'expectation' and isinstance(tokens, ActionTokens)
        else tokens.decode(made.tokens)
    )  # (B, horizon, A)
    first = decoded[:, 0] + (state[:, config.reference] if config.relative_to else 0)
    return _clipped(first, action)


def regressed_actions(output: PCTOutput, action: ActionSpec) -> Tensor:
    """Return the first actions ``(B, A)`` that a PCT policy would return for ``output``."""
    low, high = torch.from_numpy(action.low), torch.from_numpy(action.high)
    unit = output.actions[:, 0, : len(action.dimensions)]  # (B, A)
    return _clipped(low + (unit + 1) / 2 * (high - low), action)


def _clipped(values: Tensor, action: ActionSpec) -> Tensor:
    return values.clamp(torch.from_numpy(action.low), torch.from_numpy(action.high))


def batches(count: int, size: int) -> Sequence[slice]:
    """Return slices of at most ``size`` that cover ``count`` rows."""
    return [slice(start, min(start + size, count)) for start in range(0, count, size)]


__all__ = ['ErrorSum', 'HeldOutError', 'batches', 'regressed_actions', 'token_actions']
