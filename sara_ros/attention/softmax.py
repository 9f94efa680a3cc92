"""Exact softmax attention through torch's fused kernel."""

from __future__ import annotations

from typing import ClassVar, Final

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from sara_ros.attention.backend import AttentionBackend
from sara_ros.attention.state import KeyValues, State, own_state

PCT_EPSILON: Final = 1e-9
"""As in PCT's code: a key that no query gives weight to would divide by zero."""


class Softmax(AttentionBackend):
    """``softmax(q k^T / sqrt(D)) v`` (Vaswani et al. 2017, equation 1); no options."""

    name: ClassVar[str] = 'softmax'
    serves_any_checkpoint: ClassVar[bool] = True
    supports_key_mask: ClassVar[bool] = True

    def forward(self, q: Tensor, k: Tensor, v: Tensor, key_mask: Tensor | None = None) -> Tensor:
        """See :meth:`AttentionBackend.forward`."""
        self._check_mask(key_mask, k)
        mask = None if key_mask is None else key_mask[:, None, None, :]  # (B, 1, 1, N)
        return scaled_dot_product_attention(q, k, v, attn_mask=mask)

    def offset(self, q: Tensor, k: Tensor, v: Tensor, key_mask: Tensor | None = None) -> Tensor:
        """See :meth:`AttentionBackend.offset`; quadratic in the number of tokens."""
        self._check_tokens(q, k, 'offset')
        self._check_mask(key_mask, k)
        weights = pct_rows(q, k, key_mask)  # (B, H, N queries, N keys)
        total = weights.sum(dim=-2).unsqueeze(-1) + PCT_EPSILON  # (B, H, N keys, 1)
        return weights.transpose(-2, -1) @ v / total

    def causal(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """See :meth:`AttentionBackend.causal`."""
        self._check_tokens(q, k, 'causal')
        return scaled_dot_product_attention(q, k, v, is_causal=True)

    def absorb(self, state: State | None, k: Tensor, v: Tensor) -> State:
        """See :meth:`AttentionBackend.absorb`; the state is a key-value cache in their dtype."""
        if state is None:
            return KeyValues(k.shape[-2], k, v)
        held = own_state(self.name, state, KeyValues)
        joined = [torch.cat(pair, dim=-2) for pair in ((held.k, k), (held.v, v))]
        return KeyValues(held.tokens + k.shape[-2], *joined)

    def release(self, state: State, k: Tensor, v: Tensor) -> State:
        """See :meth:`AttentionBackend.release`; drops as many of the oldest tokens as given."""
        count = k.shape[-2]
        held = own_state(self.name, state, KeyValues, count)
        return KeyValues(held.tokens - count, held.k[..., count:, :], held.v[..., count:, :])

    def read(self, state: State, q: Tensor) -> Tensor:
        """See :meth:`AttentionBackend.read`."""
        held = own_state(self.name, state, KeyValues, 1)
        return scaled_dot_product_attention(q, held.k, held.v)


def row_weights(q: Tensor, k: Tensor, key_mask: Tensor | None = None) -> Tensor:
    """Return ``softmax(q k^T)`` ``(B, H, Nq, N)``, zero for masked keys; ``q`` comes scaled."""
    scores = q @ k.transpose(-2, -1)
    if key_mask is None:
        return scores.softmax(dim=-1)
    keep = key_mask[:, None, None, :]
    return scores.masked_fill(~keep, torch.finfo(scores.dtype).min).softmax(dim=-1) * keep


def pct_rows(q: Tensor, k: Tensor, key_mask: Tensor | None = None) -> Tensor:
    """Return PCT's weights ``(B, H, N, N)`` after the first normalisation; zero where masked."""
    rows = row_weights(q, k, key_mask)
    return rows if key_mask is None else rows * key_mask[:, None, :, None]


def pct_weights(q: Tensor, k: Tensor, key_mask: Tensor | None = None) -> Tensor:
    """Return PCT's weights as ``(B, H, N keys, N queries)``: what each output takes of ``v``."""
    columns = pct_rows(q, k, key_mask).transpose(-2, -1)
    return columns / (columns.sum(dim=-1, keepdim=True) + PCT_EPSILON)
