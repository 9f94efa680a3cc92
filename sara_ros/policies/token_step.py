"""A decoder block for one token at a time, with its modules taken apart."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, linear, scaled_dot_product_attention

from sara_ros.policies.blocks import Cache, DecoderBlock, merge_heads


class TokenStep:
    """
    What :class:`DecoderBlock` computes, after the tokens before.

    One token is so little work that calling modules would take a third of the time. Weights are
    taken as they are now: make it anew after they have moved or changed.
    """

    def __init__(self, block: DecoderBlock) -> None:
        """
        Take the weights of ``block``.

        :raises TypeError: when a layer was wrapped, for example by an adapter that is not merged.
        """
        self._heads = block.heads
        self._qkv = _weights(block.qkv)
        self._out = _weights(block.out)
        self._cross_q = _weights(block.cross_q)
        self._cross_out = _weights(block.cross_out)
        self._widen, self._narrow = _weights(block.feed[0]), _weights(block.feed[2])
        self._norms = [
            (norm.normalized_shape, norm.weight, norm.bias, norm.eps)
            for norm in (block.norm, block.cross_norm, block.feed_norm)
        ]

    def __call__(self, x: Tensor, memory: Cache, past: Cache | None) -> tuple[Tensor, Cache]:
        """Decode ``(B, L, C)`` after ``past``; only a first step may have ``L`` above 1."""
        batch, length, width = x.shape
        rows = linear(torch.layer_norm(x, *self._norms[0]), *self._qkv)
        rows = rows.view(batch, length, 3, self._heads, width // self._heads)
        q, k, v = rows.permute(2, 0, 3, 1, 4).unbind()  # (B, H, L, D)
        if past is not None:
            k, v = torch.cat((past[0], k), dim=-2), torch.cat((past[1], v), dim=-2)
        mixed = scaled_dot_product_attention(q, k, v, is_causal=past is None)
        x = x + linear(merge_heads(mixed), *self._out)
        q = linear(torch.layer_norm(x, *self._norms[1]), *self._cross_q)
        q = q.view(batch, length, self._heads, -1).transpose(1, 2)
        x = x + linear(merge_heads(scaled_dot_product_attention(q, *memory)), *self._cross_out)
        wide = gelu(linear(torch.layer_norm(x, *self._norms[2]), *self._widen))
        return x + linear(wide, *self._narrow), (k, v)


def _weights(layer: nn.Module) -> tuple[Tensor, Tensor]:
    if type(layer) is not nn.Linear:
        raise TypeError(f'expected a plain linear layer, found {type(layer).__name__}')
    return layer.weight, layer.bias
