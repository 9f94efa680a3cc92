"""Take SARA's maps into the projections before them, so that they cost nothing to serve."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeGuard

import torch
from torch import Tensor, nn

from sara_ros.attention.backend import AttentionBackend
from sara_ros.attention.sara import FoldedSara, Sara
from sara_ros.core import ParameterError


class Projection(NamedTuple):
    """A linear layer ``(H * D, C)``, with a bias ``(H * D,)`` or none."""

    weight: Tensor
    bias: Tensor | None = None


class Folded(NamedTuple):
    """Projections to features ``(H * M, C)``, and the backend that takes these for q and k."""

    query: Projection
    key: Projection
    attention: FoldedSara


def worth_folding(backend: AttentionBackend) -> TypeGuard[Sara]:
    """Return whether folding saves work: not where it makes the projections wider."""
    return isinstance(backend, Sara) and backend.q_map.shape[-2] <= backend.q_map.shape[-1]


def fold(backend: Sara, query: Projection, key: Projection) -> Folded:
    """
    Fold ``D^-1/4``, ``G`` and ``v`` into the projections of queries and keys.

    SARA-RT (Leal et al. 2023), section 3: exact, for ``v * relu(x) = relu(v x)``,
    ``v * x^2 = (sqrt(v) x)^2`` and ``v * exp(x) = exp(x + log v)``, which need a positive ``v``.

    :raises ParameterError: when a number in ``v`` is not positive.
    """
    with torch.no_grad():
        return Folded(
            _folded(backend.function, backend.q_map, backend.q_scale, query, 'q_scale'),
            _folded(backend.function, backend.k_map, backend.k_scale, key, 'k_scale'),
            FoldedSara(backend.function).train(backend.training),
        )


def joined(projections: Sequence[Projection]) -> nn.Linear:
    """Return one layer that computes several projections side by side."""
    weight = torch.cat([part.weight for part in projections]).detach()
    biased = any(part.bias is not None for part in projections)
    layer = nn.Linear(
        weight.shape[1], weight.shape[0], bias=biased, device=weight.device, dtype=weight.dtype
    )
    with torch.no_grad():
        layer.weight.copy_(weight)
        if biased:
            layer.bias.copy_(torch.cat([_bias(part) for part in projections]))
    return layer


def _folded(
    function: str, matrix: Tensor, scale: Tensor, projection: Projection, name: str
) -> Projection:
    if not bool((scale > 0).all()):
        raise ParameterError(
            f"attention backend 'sara': {name} has the value {float(scale.min()):g}; only a "
            'positive scale folds into the projection, serve this layer unfolded'
        )
    heads, features, head_dim = matrix.shape
    column = scale.transpose(-2, -1)  # (H, M, 1)
    factor = {'relu': column, 'square': column.sqrt()}.get(function, torch.ones_like(column))
    mapped = factor * matrix * head_dim**-0.25
    weight = mapped @ projection.weight.reshape(heads, head_dim, -1)  # (H, M, C)
    bias = mapped @ _bias(projection).reshape(heads, head_dim, 1)  # (H, M, 1)
    if function == 'exp':
        bias = bias + column.log()
    needed = projection.bias is not None or function == 'exp'
    return Projection(weight.flatten(0, 1), bias.flatten() if needed else None)


def _bias(projection: Projection) -> Tensor:
    if projection.bias is None:
        return projection.weight.new_zeros(projection.weight.shape[0])
    return projection.bias
