"""Sums over prefixes of tokens, chunk by chunk: what the causal forms are made of."""

from __future__ import annotations

from typing import Final, NamedTuple

import torch
from torch import Tensor

from sara_ros.attention.feature_map import Features
from sara_ros.attention.state import accumulating, with_ones

CHUNK: Final = 128
"""Tokens whose pairwise weights exist at a time."""


class _Earlier(NamedTuple):
    """``exp(level) sums`` over the chunks before: ``(B, H, M, Dv)`` and ``(B, H, 1, 1)``."""

    sums: Tensor
    level: Tensor


def prefix_attention(phi_q: Tensor, phi_k: Features, v: Tensor) -> Tensor:
    """
    Return linear attention of each token to itself and those before it.

    Katharopoulos et al. 2020, equation 9. Shapes as in :func:`prefix_sums`; the result has the
    dtype of ``v``.
    """
    mixed = prefix_sums(phi_q, phi_k, with_ones(accumulating(v)))
    return (mixed[..., :-1] / (mixed[..., -1:] + phi_k.epsilon)).to(v.dtype)


def prefix_sums(phi_q: Tensor, phi_k: Features, v: Tensor) -> Tensor:
    """
    Return ``sum_{j <= i} (phi_q_i . phi_k_j) v_j / exp(max_{j <= i} log_j)`` in f32.

    One ``(CHUNK, CHUNK)`` and one ``(M, Dv)`` matrix a head are alive at a time, and nothing of
    a later token enters, not even through the scale.

    :param phi_q: ``(B, H, N, M)``.
    :param phi_k: of as many tokens.
    :param v: ``(B, H, N, Dv)``.
    """
    empty = accumulating(v.new_zeros(*v.shape[:2], phi_q.shape[-1], v.shape[-1]))
    level = torch.full_like(empty[..., :1, :1], torch.finfo(empty.dtype).min)
    earlier, outputs = _Earlier(empty, level), []
    for start in range(0, v.shape[-2], CHUNK):
        part = slice(start, start + CHUNK)
        log = None if phi_k.log is None else accumulating(phi_k.log[..., part, :])
        keys = Features(accumulating(phi_k.values[..., part, :]), log)
        q, values = accumulating(phi_q[..., part, :]), accumulating(v[..., part, :])
        mixed, earlier = _chunk(q, keys, values, earlier)
        outputs.append(mixed)
    return torch.cat(outputs, dim=-2)


def prefix_mean(x: Tensor) -> Tensor:
    """Return the mean of each token of ``(B, H, N, D)`` and those before it, in f32."""
    total = accumulating(x).cumsum(dim=-2)
    return total / torch.arange(1, x.shape[-2] + 1, device=x.device)[:, None]


def _chunk(q: Tensor, k: Features, v: Tensor, earlier: _Earlier) -> tuple[Tensor, _Earlier]:
    weights = q @ k.values.transpose(-2, -1)  # (B, H, CHUNK, CHUNK)
    before = q @ earlier.sums
    if k.log is None:
        sums = earlier.sums + k.values.transpose(-2, -1) @ v
        return weights.tril() @ v + before, earlier._replace(sums=sums)
    top = torch.maximum(k.log.cummax(dim=-2).values, earlier.level)  # (B, H, CHUNK, 1)
    # tril takes later tokens away; the limit keeps their weights finite until then.
    weights = weights * (k.log.transpose(-2, -1) - top).clamp_max(0).exp()
    before = before * (earlier.level - top).exp()
    last = top[..., -1:, :]
    gained = (k.values * (k.log - last).exp()).transpose(-2, -1) @ v
    sums = earlier.sums * (earlier.level - last).exp() + gained
    return weights.tril() @ v + before, _Earlier(sums, last)
