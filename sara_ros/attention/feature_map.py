"""Linear attention for any pair of feature maps, shared by the backends that have one."""

from __future__ import annotations

from torch import Tensor

EPSILON = 1e-6
"""Added to denominators only: added to the features it would leak weight to every token."""


def linear_attention(phi_q: Tensor, phi_k: Tensor, v: Tensor) -> Tensor:
    """
    Return ``phi_q (phi_k^T v) / (phi_q sum(phi_k))`` (Katharopoulos et al. 2020, equation 5).

    :param phi_q: ``(B, H, Nq, M)``, not negative.
    :param phi_k: ``(B, H, N, M)``, not negative; rows of padding are zero.
    :param v: ``(B, H, N, D)``.
    """
    context = phi_k.transpose(-2, -1) @ v  # (B, H, M, D)
    total = phi_k.sum(dim=-2).unsqueeze(-1)  # (B, H, M, 1)
    return (phi_q @ context) / (phi_q @ total + EPSILON)


def linear_offset_attention(phi_q: Tensor, phi_k: Tensor, v: Tensor) -> Tensor:
    """
    Return PCT's double-normalised attention in two linear passes, exactly.

    ``Z_i = phi_q_i . sum_j phi_k_j`` is the first normalisation; with queries divided by it,
    the aggregation over queries is linear attention with the two roles exchanged.
    """
    total = phi_k.sum(dim=-2).unsqueeze(-1)  # (B, H, M, 1)
    rows = phi_q / (phi_q @ total + EPSILON)  # (B, H, N, M), each divided by its Z_i
    return linear_attention(phi_k, rows, v)
