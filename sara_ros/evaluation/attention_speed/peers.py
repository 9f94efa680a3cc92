"""Linear attention of other people's packages, timed beside ours where they are installed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

import torch
from torch import Tensor

Mix = Callable[[Tensor, Tensor, Tensor], Tensor]

NOT_INSTALLED: Final = 'not installed'
INSTALL: Final = (
    'pip install --no-deps --target out/peers performer-pytorch linear-attention-transformer '
    'axial-positional-embedding local-attention linformer product-key-memory==0.1.11 '
    'hyper-connections einops'
)
"""Leaves ``.venv`` alone; run the benchmark with ``PYTHONPATH=out/peers`` afterwards."""


@dataclass(frozen=True, slots=True)
class Peer:
    """A package and how to build its bidirectional attention for a head size and dtype."""

    package: str
    module: str
    build: Callable[[Any, int, torch.dtype], Mix]


def _performer(module: Any, head_dim: int, dtype: torch.dtype) -> Mix:
    mix: Mix = module.FastAttention(dim_heads=head_dim).eval().to(dtype)
    return mix


def _linear(module: Any, head_dim: int, dtype: torch.dtype) -> Mix:
    mix: Mix = module.linear_attn
    return mix


PEERS: Final = (
    Peer('performer-pytorch', 'performer_pytorch.performer_pytorch', _performer),
    Peer(
        'linear-attention-transformer',
        'linear_attention_transformer.linear_attention_transformer',
        _linear,
    ),
)


def peer_versions() -> dict[str, str]:
    """Return the version of each peer, or :data:`NOT_INSTALLED`."""
    return {peer.package: _version(peer.package) for peer in PEERS}


def peer_attention(peer: Peer, head_dim: int, dtype: torch.dtype) -> Mix | str:
    """Return the peer's attention on ``(B, H, N, D)``, or why there is none."""
    if _version(peer.package) == NOT_INSTALLED:
        return NOT_INSTALLED
    try:
        return peer.build(import_module(peer.module), head_dim, dtype)
    except Exception as err:
        return f'{type(err).__name__}: {err}'


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return NOT_INSTALLED
