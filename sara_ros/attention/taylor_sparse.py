"""The sparse branch that Taylor attention has in training (ViTALiTy)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def with_strong_pairs(
    weights: Tensor, exact: Callable[[Tensor, Tensor], Tensor], q: Tensor, k: Tensor,
    *, threshold: float, bits: int,
) -> Tensor:  # fmt: skip
    """
    Return ``weights`` plus exact minus approximate ones for the pairs that matter.

    Dass et al. 2023, section III-C: which pairs those are is predicted from queries and keys of
    a few bits (as in Sanger, Lu et al. 2021), by a threshold on the exact weights of these.

    :param weights: the approximation, ``(B, H, N, N)``.
    :param exact: makes the exact weights of that shape from queries and keys.
    """
    with torch.no_grad():
        strong = exact(quantised(q, bits), quantised(k, bits)) > threshold
    return torch.where(strong, exact(q, k), weights)


def quantised(x: Tensor, bits: int) -> Tensor:
    """Round ``(B, H, N, D)`` to the signed numbers of ``bits`` bits, on a scale for each head."""
    levels = 2 ** (bits - 1) - 1
    step = x.abs().amax(dim=(-2, -1), keepdim=True).clamp_min(torch.finfo(x.dtype).tiny) / levels
    rounded: Tensor = (x / step).round() * step
    return rounded
