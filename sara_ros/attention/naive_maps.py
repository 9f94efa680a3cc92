"""Readable fp32 feature maps of the linear backends, as the papers write them."""

from __future__ import annotations

import torch
from torch import Tensor


def sara(x: Tensor, matrix: Tensor, scale: Tensor, function: str) -> Tensor:
    """SARA-RT, equations 3 and 4: ``v * f(G x)``; ``matrix`` is ``(H, M, D)``."""
    applied = {'relu': torch.relu, 'exp': torch.exp, 'square': torch.square}[function]
    features: Tensor = scale * applied(_projected(x.float() / x.shape[-1] ** 0.25, matrix))
    return features


def performer(x: Tensor, projection: Tensor) -> Tensor:
    """Choromanski et al. 2021, lemma 1, of ``x D^-1/4``; ``projection`` is ``(H, M, D)``."""
    return softmax_kernel(x.float() / x.shape[-1] ** 0.25, projection)


def softmax_kernel(x: Tensor, projection: Tensor) -> Tensor:
    """Features whose product estimates ``exp(x . y)``."""
    half = x.float().square().sum(dim=-1, keepdim=True) / 2
    features: Tensor = (_projected(x, projection) - half).exp() / projection.shape[-2] ** 0.5
    return features


def hedgehog(x: Tensor, matrix: Tensor) -> Tensor:
    """Zhang et al. 2024, section 4.1: ``softmax([W x, -W x])``; ``matrix`` is ``(H, M, D)``."""
    raised = _projected(x, matrix).exp()
    both = torch.cat((raised, 1 / raised), dim=-1)
    shares: Tensor = both / both.sum(dim=-1, keepdim=True)
    return shares


def _projected(x: Tensor, matrix: Tensor) -> Tensor:
    projected: Tensor = torch.einsum('hmd,bhnd->bhnm', matrix.float(), x.float())
    return projected
