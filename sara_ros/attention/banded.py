"""Tokens in blocks that see their neighbours pair by pair and the rest through sums."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad


def own_blocks(x: Tensor, size: int) -> Tensor:
    """Return ``(B, H, N, D)`` as blocks ``(B, H, N / size, size, D)``, the last one padded."""
    padded = pad(x, (0, 0, 0, -x.shape[-2] % size))
    return padded.reshape(*x.shape[:-2], -1, size, x.shape[-1])


def neighbour_blocks(x: Tensor, size: int) -> Tensor:
    """Return, for each block, itself between its neighbours: ``(B, H, N / size, 3 size, D)``."""
    padded = pad(x, (0, 0, size, size + -x.shape[-2] % size))
    return padded.unfold(-2, 3 * size, size).transpose(-2, -1)


def band(size: int, device: torch.device) -> Tensor:
    """Return ``(size, 3 size)`` bool: which neighbours are at most ``size`` tokens away."""
    own = torch.arange(size, device=device)[:, None] + size
    return (own - torch.arange(3 * size, device=device)).abs() <= size


def band_before(size: int, device: torch.device) -> Tensor:
    """Return :func:`band` without later tokens."""
    own = torch.arange(size, device=device)[:, None] + size
    return band(size, device) & (torch.arange(3 * size, device=device) <= own)


def delayed(x: Tensor, tokens: int, fill: float = 0.0) -> Tensor:
    """Return ``(B, H, N, D)`` with each token moved ``tokens`` places on, ``fill`` before it."""
    return pad(x, (0, 0, tokens, 0), value=fill)[..., : x.shape[-2], :]


def far_sums(phi: Tensor, values: Tensor, size: int) -> Tensor:
    """
    Return ``sum_j phi_j values_j^T`` over all blocks but a block and its neighbours.

    :param phi: ``(B, H, N, M)``.
    :param values: ``(B, H, N, D)``.
    :returns: ``(B, H, N / size, M, D)``.
    """
    sums = own_blocks(phi, size).transpose(-2, -1) @ own_blocks(values, size)
    blocks = sums.movedim(2, 0).contiguous()  # torch sums the first axis ten times faster
    far = torch.zeros_like(blocks)
    far[2:] += blocks[:-2].cumsum(dim=0)
    far[:-2] += blocks[2:].flip(0).cumsum(dim=0).flip(0)
    return far.movedim(0, 2)
