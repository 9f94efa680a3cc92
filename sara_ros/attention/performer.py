"""Performer: the softmax kernel estimated by positive orthogonal random features."""

from __future__ import annotations

from dataclasses import dataclass
import math
from typing import ClassVar

import torch
from torch import Tensor

from sara_ros.attention.feature_map import Features, exponential
from sara_ros.attention.linear_map import LinearMap
from sara_ros.attention.options import check_features, check_whole


@dataclass(frozen=True, slots=True)
class PerformerOptions:
    """
    Options of :class:`Performer`.

    :param features: number of features a head; 0 for ``D ln D`` of a head of ``D`` dimensions.
    :param seed: of the random directions.
    """

    features: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the values."""
        check_features('performer', self.features, 'D ln D')
        check_whole('performer', 'seed', self.seed, 0)


class Performer(LinearMap):
    """
    FAVOR+: ``phi(x) = exp(W x - |x|^2 / 2) / sqrt(m)``, the same for queries and keys.

    Choromanski et al. 2021, lemma 1 and section 2.4: ``E[phi(q) . phi(k)] = exp(q . k)`` over
    rows of ``W`` that are standard normal, and orthogonal within each block of ``D``. ``W`` is
    the buffer ``projection (H, M, D)``, saved with the weights. Inputs are scaled by
    ``D^-1/4``, in the PCT form not at all, as softmax is there.
    """

    name: ClassVar[str] = 'performer'
    serves_any_checkpoint: ClassVar[bool] = True
    Options = PerformerOptions
    projection: Tensor

    def __init__(self, *, head_dim: int, heads: int, options: PerformerOptions) -> None:
        """Draw the directions; see :class:`PerformerOptions`."""
        super().__init__()
        features = options.features or max(1, math.ceil(head_dim * math.log(head_dim)))
        generator = torch.Generator('cpu').manual_seed(options.seed)
        rows = [orthogonal_rows(features, head_dim, generator) for _ in range(heads)]
        self.register_buffer('projection', torch.stack(rows))

    def map_queries(self, q: Tensor) -> Features:
        """See :meth:`LinearMap.map_queries`."""
        x = q * float(q.shape[-1]) ** -0.25
        exponents = x @ self.projection.transpose(-2, -1)  # (B, H, N, M)
        half_norm = x.square().sum(dim=-1, keepdim=True) / 2
        return exponential(exponents, half_norm + math.log(self.projection.shape[-2]) / 2)

    def map_keys(self, k: Tensor) -> Features:
        """See :meth:`LinearMap.map_keys`."""
        return self.map_queries(k)

    def offset(self, q: Tensor, k: Tensor, v: Tensor, key_mask: Tensor | None = None) -> Tensor:
        """See :meth:`AttentionBackend.offset`."""
        unscale = float(q.shape[-1]) ** 0.25
        return super().offset(q * unscale, k * unscale, v, key_mask)


def orthogonal_rows(count: int, size: int, generator: torch.Generator) -> Tensor:
    """Return ``(count, size)`` rows as of a normal matrix, orthogonal in blocks of ``size``."""
    blocks = -(-count // size)
    bases = torch.linalg.qr(torch.randn(blocks, size, size, generator=generator))[0]
    # The sign of a column of Q is not random by itself.
    directions = bases.transpose(-2, -1).reshape(blocks * size, size)[:count]
    lengths = torch.randn(count, size, generator=generator).norm(dim=-1, keepdim=True)
    signs = torch.randint(0, 2, (count, 1), generator=generator) * 2 - 1
    rows: Tensor = directions * lengths * signs
    return rows
