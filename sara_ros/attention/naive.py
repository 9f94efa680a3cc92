"""
Readable fp32 references of every backend, written as the papers write them.

Each builds the full ``(B, H, Nq, N)`` weight matrix; none is meant to be fast. ``q``, ``k`` and
``v`` are ``(B, H, N, D)`` and ``key_mask`` is ``(B, N)`` bool, true where a key takes part.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import torch
from torch import Tensor

EPSILON = 1e-6

Attend: TypeAlias = Callable[[Tensor, Tensor, Tensor], Tensor]


def mix(weights: Tensor, v: Tensor) -> Tensor:
    """Return ``sum_j weights_ij v_j``."""
    return torch.einsum('bhij,bhjd->bhid', weights, v.float())


def double_normalised(
    weights: Tensor, v: Tensor, epsilon: float = 0.0, key_mask: Tensor | None = None
) -> Tensor:
    """Return PCT's aggregation: rows sum to one, then columns do, summed over queries."""
    keep = _keep(key_mask)
    weights = weights * keep * keep.mT
    weights = weights / (weights.sum(dim=-1, keepdim=True) + (1 - keep.mT) + epsilon)
    weights = weights / (weights.sum(dim=-2, keepdim=True) + (1 - keep) + epsilon)
    return torch.einsum('bhij,bhid->bhjd', weights, v.float())


def scores(q: Tensor, k: Tensor) -> Tensor:
    """Return ``q_i . k_j``."""
    return torch.einsum('bhid,bhjd->bhij', q.float(), k.float())


def softmax(q: Tensor, k: Tensor, v: Tensor, key_mask: Tensor | None = None) -> Tensor:
    """Vaswani et al. 2017, equation 1."""
    weights = (scores(q, k) / q.shape[-1] ** 0.5).exp() * _keep(key_mask)
    return mix(weights / weights.sum(dim=-1, keepdim=True), v)


def softmax_causal(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """:func:`softmax` over the own token and earlier ones."""
    weights = (scores(q, k) / q.shape[-1] ** 0.5).exp().tril()
    return mix(weights / weights.sum(dim=-1, keepdim=True), v)


def softmax_offset(q: Tensor, k: Tensor, v: Tensor, key_mask: Tensor | None = None) -> Tensor:
    """Guo et al. 2021 (PCT), offset attention's normalisation."""
    return double_normalised(scores(q, k).exp(), v, key_mask=key_mask)


def feature_map(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    phi_q: Callable[[Tensor], Tensor],
    phi_k: Callable[[Tensor], Tensor],
    key_mask: Tensor | None = None,
    epsilon: float = EPSILON,
) -> Tensor:
    """Weights ``phi_q(q_i) . phi_k(k_j)``, divided by their sum over keys plus epsilon."""
    weights = scores(phi_q(q), phi_k(k)) * _keep(key_mask)
    return mix(weights / (weights.sum(dim=-1, keepdim=True) + epsilon), v)


def feature_map_offset(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    phi_q: Callable[[Tensor], Tensor],
    phi_k: Callable[[Tensor], Tensor],
    key_mask: Tensor | None = None,
    epsilon: float = EPSILON,
) -> Tensor:
    """PCT's double normalisation of the same weights."""
    return double_normalised(scores(phi_q(q), phi_k(k)), v, epsilon, key_mask)


def feature_map_causal(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    phi_q: Callable[[Tensor], Tensor],
    phi_k: Callable[[Tensor], Tensor],
    epsilon: float = EPSILON,
) -> Tensor:
    """:func:`feature_map` over the own token and earlier ones."""
    weights = scores(phi_q(q), phi_k(k)).tril()
    return mix(weights / (weights.sum(dim=-1, keepdim=True) + epsilon), v)


def joint_window(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    window: int,
    factor: Tensor,
    phi_q: Callable[[Tensor], Tensor],
    phi_k: Callable[[Tensor], Tensor],
    key_mask: Tensor | None = None,
) -> Tensor:
    """Softmax's weights for ``|i - j| <= window``, ``factor (H, 1, 1)`` times a map's beyond."""
    place = torch.arange(k.shape[-2])
    near = (place[:, None] - place).abs() <= window
    exact = (scores(q, k) / q.shape[-1] ** 0.5).exp()
    linear = factor * scores(phi_q(q), phi_k(k))
    weights = torch.where(near, exact, linear) * _keep(key_mask)
    return mix(weights / weights.sum(dim=-1, keepdim=True), v)


def joint_window_causal(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    window: int,
    factor: Tensor,
    phi_q: Callable[[Tensor], Tensor],
    phi_k: Callable[[Tensor], Tensor],
) -> Tensor:
    """:func:`joint_window` of each query over the keys up to its own."""
    place = torch.arange(k.shape[-2])
    distance = place[:, None] - place
    exact = (scores(q, k) / q.shape[-1] ** 0.5).exp()
    weights = torch.where(distance <= window, exact, factor * scores(phi_q(q), phi_k(k)))
    weights = weights * (distance >= 0)
    return mix(weights / weights.sum(dim=-1, keepdim=True), v)


def taylor(q: Tensor, k: Tensor, v: Tensor, key_mask: Tensor | None = None) -> Tensor:
    """Weights ``1 + q_i . (k_j - mean k) / sqrt(D)``, divided by their sum over keys."""
    return mix(_taylor_weights(q, k, key_mask), v)


def taylor_causal(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """:func:`taylor` of each query over the keys up to its own, centred over these."""
    ends = range(1, k.shape[-2] + 1)
    rows = [taylor(q[:, :, i - 1 : i], k[:, :, :i], v[:, :, :i]) for i in ends]
    return torch.cat(rows, dim=-2)


def taylor_training(q: Tensor, k: Tensor, v: Tensor, *, threshold: float, bits: int) -> Tensor:
    """:func:`taylor` plus softmax minus Taylor where a low-bit softmax exceeds ``threshold``."""
    approximate, root = _taylor_weights(q, k, None), q.shape[-1] ** 0.5
    predicted = (scores(quantised(q, bits), quantised(k, bits)) / root).softmax(dim=-1)
    exact = (scores(q, k) / root).softmax(dim=-1)
    return mix(approximate + (predicted > threshold) * (exact - approximate), v)


def quantised(x: Tensor, bits: int) -> Tensor:
    """Return the nearest of ``2^bits - 1`` evenly spaced numbers, the largest ``|x|`` last."""
    step = x.float().abs().flatten(-2).max(dim=-1).values[..., None, None] / (2 ** (bits - 1) - 1)
    rounded: Tensor = torch.round(x.float() / step) * step
    return rounded


def taylor_offset(q: Tensor, k: Tensor, v: Tensor, key_mask: Tensor | None = None) -> Tensor:
    """First-order expansion of :func:`softmax_offset` in the scores, by automatic derivative."""
    energy = scores(q, k)
    identity = torch.eye(q.shape[-2]).expand_as(energy)

    def normalised(x: Tensor) -> Tensor:
        return double_normalised(x.exp(), identity, key_mask=key_mask)

    flat = torch.zeros_like(energy)
    slope = torch.func.jvp(normalised, (flat,), (energy,))[1]
    return mix(normalised(flat) + slope, v)


def uniform(q: Tensor, k: Tensor, v: Tensor, key_mask: Tensor | None = None) -> Tensor:
    """Give each key the same weight."""
    weights = torch.ones(*q.shape[:-1], k.shape[-2]) * _keep(key_mask)
    return mix(weights / weights.sum(dim=-1, keepdim=True), v)


def uniform_offset(q: Tensor, k: Tensor, v: Tensor, key_mask: Tensor | None = None) -> Tensor:
    """PCT's double normalisation of the same weight for each pair."""
    return double_normalised(torch.ones(*q.shape[:-1], k.shape[-2]), v, key_mask=key_mask)


def uniform_causal(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Give the own token and each earlier one the same weight."""
    weights = torch.ones(*q.shape[:-1], k.shape[-2]).tril()
    return mix(weights / weights.sum(dim=-1, keepdim=True), v)


def recurrent(attend: Attend, q: Tensor, frames: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
    """Attend in both directions to the keys and values of all frames in the window."""
    k, v = (torch.cat(parts, dim=-2) for parts in zip(*frames, strict=True))
    return attend(q, k, v)


def _taylor_weights(q: Tensor, k: Tensor, key_mask: Tensor | None) -> Tensor:
    keep = _keep(key_mask)
    weights = (1 + scores(q, _centred(k, key_mask)) / q.shape[-1] ** 0.5) * keep
    count = k.shape[-2] if key_mask is None else keep.sum(dim=-1, keepdim=True)
    normalised: Tensor = weights / count
    return normalised


def _keep(key_mask: Tensor | None) -> Tensor:
    return torch.ones(1, 1) if key_mask is None else key_mask[:, None, None, :].float()


def _centred(k: Tensor, key_mask: Tensor | None) -> Tensor:
    if key_mask is None:
        return k.float() - k.float().mean(dim=-2, keepdim=True)
    keep = key_mask[:, None, :, None].float()
    return k.float() - (k.float() * keep).sum(dim=-2, keepdim=True) / keep.sum(-2, keepdim=True)
