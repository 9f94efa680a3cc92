"""
Readable fp32 references of every backend, written as the papers write them.

Each builds the full ``(B, H, Nq, N)`` weight matrix; none is meant to be fast. ``q``, ``k`` and
``v`` are ``(B, H, N, D)`` and ``key_mask`` is ``(B, N)`` bool, true where a key takes part.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

EPSILON = 1e-6


def mix(weights: Tensor, v: Tensor) -> Tensor:
    """Return ``sum_j weights_ij v_j``."""
    return torch.einsum('bhij,bhjd->bhid', weights, v.float())


def double_normalised(weights: Tensor, v: Tensor, epsilon: float = 0.0) -> Tensor:
    """Return PCT's aggregation: rows sum to one, then columns do, summed over queries."""
    weights = weights / (weights.sum(dim=-1, keepdim=True) + epsilon)
    weights = weights / (weights.sum(dim=-2, keepdim=True) + epsilon)
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


def softmax_offset(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Guo et al. 2021 (PCT), offset attention's normalisation."""
    return double_normalised(scores(q, k).exp(), v)


def feature_map(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    phi_q: Callable[[Tensor], Tensor],
    phi_k: Callable[[Tensor], Tensor],
    key_mask: Tensor | None = None,
) -> Tensor:
    """Weights ``phi_q(q_i) . phi_k(k_j)``, divided by their sum over keys plus epsilon."""
    weights = scores(phi_q(q), phi_k(k)) * _keep(key_mask)
    return mix(weights / (weights.sum(dim=-1, keepdim=True) + EPSILON), v)


def feature_map_offset(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    phi_q: Callable[[Tensor], Tensor],
    phi_k: Callable[[Tensor], Tensor],
) -> Tensor:
    """PCT's double normalisation of the same weights."""
    return double_normalised(scores(phi_q(q), phi_k(k)), v, EPSILON)


def taylor(q: Tensor, k: Tensor, v: Tensor, key_mask: Tensor | None = None) -> Tensor:
    """Weights ``1 + q_i . (k_j - mean k) / sqrt(D)``, divided by their sum over keys."""
    keep = _keep(key_mask)
    weights = (1 + scores(q, _centred(k, key_mask)) / q.shape[-1] ** 0.5) * keep
    count = k.shape[-2] if key_mask is None else keep.sum(dim=-1, keepdim=True)
    return mix(weights / count, v)


def taylor_offset(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """First-order expansion of :func:`softmax_offset` in the scores, by automatic derivative."""
    energy = scores(q, k)
    flat = torch.zeros_like(energy)

    def normalised(x: Tensor) -> Tensor:
        rows = x.softmax(dim=-1)
        return rows / rows.sum(dim=-2, keepdim=True)

    slope = torch.func.jvp(normalised, (flat,), (energy,))[1]
    return torch.einsum('bhij,bhid->bhjd', normalised(flat) + slope, v.float())


def uniform(q: Tensor, k: Tensor, v: Tensor, key_mask: Tensor | None = None) -> Tensor:
    """Give each key the same weight."""
    weights = torch.ones(*q.shape[:-1], k.shape[-2]) * _keep(key_mask)
    return mix(weights / weights.sum(dim=-1, keepdim=True), v)


def uniform_offset(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """PCT's double normalisation of the same weight for each pair."""
    return double_normalised(torch.ones(*q.shape[:-1], k.shape[-2]), v)


def _keep(key_mask: Tensor | None) -> Tensor:
    return torch.ones(()) if key_mask is None else key_mask[:, None, None, :].float()


def _centred(k: Tensor, key_mask: Tensor | None) -> Tensor:
    if key_mask is None:
        return k.float() - k.float().mean(dim=-2, keepdim=True)
    keep = key_mask[:, None, :, None].float()
    return k.float() - (k.float() * keep).sum(dim=-2, keepdim=True) / keep.sum(-2, keepdim=True)
