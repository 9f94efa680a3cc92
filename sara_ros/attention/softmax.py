"""Exact softmax attention through torch's fused kernel."""

from __future__ import annotations

from typing import ClassVar, Final

from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from sara_ros.attention.backend import AttentionBackend

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

    def offset(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """See :meth:`AttentionBackend.offset`; quadratic in the number of tokens."""
        weights = (q @ k.transpose(-2, -1)).softmax(dim=-1)  # (B, H, N queries, N keys)
        total = weights.sum(dim=-2).unsqueeze(-1) + PCT_EPSILON  # (B, H, N keys, 1)
        return weights.transpose(-2, -1) @ v / total

    def causal(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """See :meth:`AttentionBackend.causal`."""
        return scaled_dot_product_attention(q, k, v, is_causal=True)
