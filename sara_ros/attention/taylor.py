"""First-order Taylor attention with a constant denominator (ViTALiTy)."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from sara_ros.attention.backend import AttentionBackend, masked_mean


class Taylor(AttentionBackend):
    """
    ``exp(x)`` replaced by ``1 + x`` after centring the keys over tokens; no options.

    Softmax does not change when a vector is added to all keys. With centred keys the sum of
    ``1 + q.k / sqrt(D)`` over keys is the number of keys, so nothing is divided by a sum that
    could vanish (ViTALiTy, Dass et al. 2023, equations 3 to 5). Weights can be negative.
    """

    name: ClassVar[str] = 'taylor'
    serves_any_checkpoint: ClassVar[bool] = True
    supports_key_mask: ClassVar[bool] = True

    def forward(self, q: Tensor, k: Tensor, v: Tensor, key_mask: Tensor | None = None) -> Tensor:
        """See :meth:`AttentionBackend.forward`."""
        self._check_mask(key_mask, k)
        mean_v = masked_mean(v, key_mask)
        centred = k - masked_mean(k, key_mask)
        if key_mask is None:
            count: Tensor | float = float(k.shape[-2])
        else:
            centred = centred * key_mask[:, None, :, None]
            count = key_mask.sum(dim=-1).clamp_min(1)[:, None, None, None]
        context = centred.transpose(-2, -1) @ v  # (B, H, D, Dv)
        scale = float(q.shape[-1]) ** -0.5
        slope: Tensor = context * scale / count
        return mean_v + q @ slope

    def offset(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """
        See :meth:`AttentionBackend.offset`.

        To first order the second normalisation centres the queries as the first does the keys,
        and both denominators are constant: ``A_ij = (1 + (q_i - mean q).(k_j - mean k)) / N``.
        """
        queries = q - q.mean(dim=-2, keepdim=True)
        keys = k - k.mean(dim=-2, keepdim=True)
        context = queries.transpose(-2, -1) @ v / k.shape[-2]  # (B, H, D, Dv)
        return v.mean(dim=-2, keepdim=True) + keys @ context
