"""Transformer blocks: bidirectional over observations, causal with cross-attention to act."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from sara_ros.attention import Projection, create, fold, joined, worth_folding

Cache = tuple[Tensor, Tensor]


def split_heads(x: Tensor, heads: int) -> Tensor:
    """Return ``(B, N, C)`` as ``(B, H, N, D)``."""
    return x.reshape(*x.shape[:-1], heads, -1).transpose(-3, -2)


def merge_heads(x: Tensor) -> Tensor:
    """Return ``(B, H, N, D)`` as ``(B, N, C)``."""
    return x.transpose(-3, -2).flatten(-2)


def feed_forward(width: int, ratio: int) -> nn.Sequential:
    """Return the two linear layers of a block."""
    return nn.Sequential(
        nn.Linear(width, ratio * width), nn.GELU(), nn.Linear(ratio * width, width)
    )


class EncoderBlock(nn.Module):
    """Pre-norm bidirectional block whose attention is any backend."""

    def __init__(
        self, width: int, heads: int, ratio: int, backend: str, options: Mapping[str, Any]
    ) -> None:
        """Build the block; see :func:`sara_ros.attention.create` for the backend's errors."""
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.sizes: tuple[int, ...] = (width, width, width)  # of what qkv makes
        self.attention = create(backend, head_dim=width // heads, heads=heads, options=options)
        self.out = nn.Linear(width, width)
        self.feed_norm = nn.LayerNorm(width)
        self.feed = feed_forward(width, ratio)

    def forward(self, x: Tensor) -> Tensor:
        """Mix ``(B, N, C)`` over tokens."""
        parts = self.qkv(self.norm(x)).split(self.sizes, dim=-1)
        q, k, v = (split_heads(part, self.heads) for part in parts)  # (B, H, N, D)
        x = x + self.out(merge_heads(self.attention(q, k, v)))
        fed: Tensor = x + self.feed(self.feed_norm(x))
        return fed

    def fold(self) -> None:
        """
        Fold a SARA backend into ``qkv`` for serving; never do so to what is trained or saved.

        Backends without a map to fold, and maps that would make ``qkv`` wider, stay.

        :raises ParameterError: see :func:`sara_ros.attention.fold`.
        """
        if not worth_folding(self.attention):
            return
        weights_and_biases = zip(self.qkv.weight.chunk(3), self.qkv.bias.chunk(3), strict=True)
        query, key, value = (Projection(*pair) for pair in weights_and_biases)
        folded = fold(self.attention, query, key)
        projections = (folded.query, folded.key, value)
        self.qkv, self.attention = joined(projections), folded.attention
        self.sizes = tuple(len(part.weight) for part in projections)


class DecoderBlock(nn.Module):
    """
    Pre-norm causal block that also attends to the memory of the encoder.

    Its own sequences are short (state, words, action tokens), so both attentions are exact.
    """

    def __init__(self, width: int, heads: int, ratio: int) -> None:
        """Build the block."""
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.cross_norm = nn.LayerNorm(width)
        self.cross_q = nn.Linear(width, width)
        self.cross_kv = nn.Linear(width, 2 * width)
        self.cross_out = nn.Linear(width, width)
        self.feed_norm = nn.LayerNorm(width)
        self.feed = feed_forward(width, ratio)

    def memory_cache(self, memory: Tensor) -> Cache:
        """Return keys and values ``(B, H, N, D)`` of the memory ``(B, N, C)``."""
        k, v = self.cross_kv(memory).chunk(2, dim=-1)
        return split_heads(k, self.heads), split_heads(v, self.heads)

    def forward(self, x: Tensor, memory: Cache) -> Tensor:
        """Decode whole sequences ``(B, I, L, C)``: ``I`` of them share one memory."""
        x = self.attend_self(x)
        x = x + self._cross(x.flatten(1, 2), memory).reshape(x.shape)
        fed: Tensor = x + self.feed(self.feed_norm(x))
        return fed

    def attend_self(self, x: Tensor) -> Tensor:
        """Return ``(B, I, L, C)`` after the causal attention within each sequence."""
        rows = self.norm(x).flatten(0, 1)  # (B I, L, C)
        q, k, v = (split_heads(part, self.heads) for part in self.qkv(rows).chunk(3, dim=-1))
        mixed = merge_heads(scaled_dot_product_attention(q, k, v, is_causal=True))
        attended: Tensor = x + self.out(mixed).reshape(x.shape)
        return attended

    def cross_scores(self, x: Tensor, memory: Cache, heads: int) -> Tensor:
        """Return the scores ``(B, heads, L, N)`` with which the first heads look at the memory."""
        q = split_heads(self.cross_q(self.cross_norm(x)), self.heads)[:, :heads]
        scores: Tensor = q @ memory[0][:, :heads].transpose(-2, -1) * float(q.shape[-1]) ** -0.5
        return scores

    def _cross(self, x: Tensor, memory: Cache) -> Tensor:
        q = split_heads(self.cross_q(self.cross_norm(x)), self.heads)
        mixed: Tensor = self.cross_out(merge_heads(scaled_dot_product_attention(q, *memory)))
        return mixed
