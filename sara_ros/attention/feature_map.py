"""Linear attention for any pair of feature maps, shared by the backends that have one."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

EPSILON = 1e-6
"""Added to denominators only: added to the features it would leak weight to every token."""

TINY = 1e-15
"""The same for features that are never zero; their denominators may be small and still exact."""


class Features(NamedTuple):
    """
    Features ``values * exp(log)`` of tokens, none negative.

    ``values`` is ``(B, H, N, M)``. ``log`` is ``(B, H, N, 1)`` and carries no gradient: a map
    that exponentiates puts each token's largest exponent there, so that nothing overflows. None
    stands for 0. ``epsilon`` is what to add to denominators.
    """

    values: Tensor
    log: Tensor | None = None
    epsilon: float = EPSILON

    def largest_log(self, key_mask: Tensor | None = None) -> Tensor | None:
        """Return the largest ``log`` of the tokens that take part, ``(B, H, 1, 1)``."""
        if self.log is None:
            return None
        log = self.log
        if key_mask is not None:
            log = log.masked_fill(~key_mask[:, None, :, None], torch.finfo(log.dtype).min)
        return log.amax(dim=-2, keepdim=True)

    def on_one_scale(self, key_mask: Tensor | None = None) -> Tensor:
        """Return the features over ``exp(largest_log)``: ``(B, H, N, M)``, zero where masked."""
        values, largest = self.values, self.largest_log(key_mask)
        if self.log is not None and largest is not None:
            # Only a masked token can lie above the largest.
            values = values * (self.log - largest).clamp_max(0).exp()
        return values if key_mask is None else values * key_mask[:, None, :, None]


def exponential(x: Tensor, less: Tensor | None = None) -> Features:
    """Return ``exp(x - less)`` of ``(B, H, N, M)``; ``less`` is ``(B, H, N, 1)``, None for 0."""
    largest = x.detach().amax(dim=-1, keepdim=True)
    if less is None:
        return Features((x - largest).exp(), largest, TINY)
    log = largest - less.detach()
    return Features((x - (less + log)).exp(), log, TINY)


def linear_attention(phi_q: Tensor, phi_k: Tensor, v: Tensor, epsilon: float = EPSILON) -> Tensor:
    """
    Return ``phi_q (phi_k^T v) / (phi_q sum(phi_k))`` (Katharopoulos et al. 2020, equation 5).

    :param phi_q: ``(B, H, Nq, M)``, not negative.
    :param phi_k: ``(B, H, N, M)``, not negative; rows of padding are zero.
    :param v: ``(B, H, N, D)``.
    """
    context = phi_k.transpose(-2, -1) @ v  # (B, H, M, D)
    total = phi_k.sum(dim=-2).unsqueeze(-1)  # (B, H, M, 1)
    return (phi_q @ context) / (phi_q @ total + epsilon)


def linear_offset_attention(
    phi_q: Tensor, phi_k: Features, v: Tensor, key_mask: Tensor | None = None
) -> Tensor:
    """
    Return PCT's double-normalised attention in two linear passes, exactly.

    ``Z_i = phi_q_i . sum_j phi_k_j`` is the first normalisation; with queries divided by it,
    the aggregation over queries is linear attention with the two roles exchanged. There a factor
    of a key cancels, so its features come without their common scale and do not underflow.
    """
    total = phi_k.on_one_scale(key_mask).sum(dim=-2).unsqueeze(-1)  # (B, H, M, 1)
    rows = phi_q / (phi_q @ total + phi_k.epsilon)  # (B, H, N, M), each divided by its Z_i
    if key_mask is None:
        return linear_attention(phi_k.values, rows, v, phi_k.epsilon)
    take_part = key_mask[:, None, :, None]
    return linear_attention(phi_k.values, rows * take_part, v, phi_k.epsilon) * take_part
