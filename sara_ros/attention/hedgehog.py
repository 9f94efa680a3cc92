"""Hedgehog: a learned feature map made of softmaxes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from sara_ros.attention.feature_map import TINY, Features
from sara_ros.attention.linear_map import LinearMap
from sara_ros.attention.options import check_features


@dataclass(frozen=True, slots=True)
class HedgehogOptions:
    """
    Options of :class:`Hedgehog`.

    :param features: rows of each map, each of which makes two features; 0 for the head size.
        Other numbers start from the first rows of the identity and random ones after it.
    """

    features: int = 0

    def __post_init__(self) -> None:
        """Check the value."""
        check_features('hedgehog', self.features, 'the head size')


class Hedgehog(LinearMap):
    """
    ``phi(x) = softmax([W x, -W x])`` over features, with its own ``W`` for queries and keys.

    Zhang et al. 2024, section 4.1, without bias. ``W`` is learned for each head and starts as
    the identity; what it has to learn first is the scale, which makes the weights spiky.
    """

    name: ClassVar[str] = 'hedgehog'
    serves_any_checkpoint: ClassVar[bool] = True
    Options = HedgehogOptions

    def __init__(self, *, head_dim: int, heads: int, options: HedgehogOptions) -> None:
        """Build both maps; see :class:`HedgehogOptions`."""
        super().__init__()
        features = options.features or head_dim
        self.q_map = nn.Parameter(_initial_map(heads, features, head_dim))
        self.k_map = nn.Parameter(_initial_map(heads, features, head_dim))

    def map_queries(self, q: Tensor) -> Features:
        """See :meth:`LinearMap.map_queries`."""
        return _map(q, self.q_map)

    def map_keys(self, k: Tensor) -> Features:
        """See :meth:`LinearMap.map_keys`."""
        return _map(k, self.k_map)


def _map(x: Tensor, matrix: Tensor) -> Features:
    projected = x @ matrix.transpose(-2, -1)  # (B, H, N, M / 2)
    shares = torch.cat((projected, -projected), dim=-1).softmax(dim=-1)
    return Features(shares, epsilon=TINY)


def _initial_map(heads: int, features: int, head_dim: int) -> Tensor:
    generator = torch.Generator('cpu').manual_seed(0)
    extra = torch.randn(max(0, features - head_dim), head_dim, generator=generator)
    rows = torch.cat((torch.eye(head_dim)[:features], extra / head_dim**0.5))
    return rows.repeat(heads, 1, 1)
