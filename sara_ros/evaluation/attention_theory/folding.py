"""Folding SARA's maps into the projections, checked on random layers."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import linear

from sara_ros.attention import Projection, create, fold
from sara_ros.attention.sara import FUNCTIONS, Sara
from sara_ros.core import ParameterError
from sara_ros.policies.blocks import split_heads


def folding_error(
    function: str,
    features: int,
    *,
    dtype: torch.dtype,
    width: int = 48,
    heads: int = 3,
    tokens: int = 50,
    seed: int = 0,
) -> float:
    """
    Return the largest difference that folding makes, over the largest number of the output.

    The layer has random projections with a bias, random maps and scales between 1/2 and 2:
    ``v * f(G W x)`` before folding and ``f(W' x)`` after it (SARA-RT, Leal et al. 2023, section
    3).

    :param features: features a head, of ``width / heads`` dimensions.
    """
    if width % heads:
        raise ParameterError(f'analysis: width {width} is not divisible by {heads} heads')
    with torch.random.fork_rng(devices=()), torch.no_grad():
        torch.manual_seed(seed)
        x = torch.randn(1, tokens, width, dtype=dtype)
        made = _backend(function, features, width // heads, heads).to(dtype)
        query, key, value = (
            Projection(torch.randn(width, width, dtype=dtype) / width**0.5, _bias(width, dtype))
            for _ in range(3)
        )
        v = _projected(x, value, heads)
        before = made(_projected(x, query, heads), _projected(x, key, heads), v)
        parts = fold(made, query, key)
        after = parts.attention(
            _projected(x, parts.query, heads), _projected(x, parts.key, heads), v
        )
    return float((after - before).abs().max() / before.abs().max())


def folding_errors() -> list[dict[str, Any]]:
    """Return :func:`folding_error` of each function, narrow, square and wide maps, f32 and f64."""
    return [
        {
            'function': function, 'features': features, 'head_dim': 16,
            **{
                str(dtype).removeprefix('torch.'): folding_error(function, features, dtype=dtype)
                for dtype in (torch.float32, torch.float64)
            },
        }
        for function in FUNCTIONS
        for features in (8, 16, 32)
    ]  # fmt: skip


def _backend(function: str, features: int, head_dim: int, heads: int) -> Sara:
    options = {'function': function, 'features': features, 'initialisation': 'random'}
    made = create('sara', head_dim=head_dim, heads=heads, options=options)
    assert isinstance(made, Sara)
    for scale in (made.q_scale, made.k_scale):
        scale.uniform_(0.5, 2.0)
    return made


def _bias(width: int, dtype: torch.dtype) -> Tensor:
    return 0.3 * torch.randn(width, dtype=dtype)


def _projected(x: Tensor, projection: Projection, heads: int) -> Tensor:
    return split_heads(linear(x, projection.weight, projection.bias), heads)
