"""The mean of the values: the control that every comparison shows."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from sara_ros.attention.backend import AttentionBackend, masked_mean


class Uniform(AttentionBackend):
    """Give each key the same weight, whatever the query; no options."""

    name: ClassVar[str] = 'uniform'
    serves_any_checkpoint: ClassVar[bool] = True
    supports_key_mask: ClassVar[bool] = True

    def forward(self, q: Tensor, k: Tensor, v: Tensor, key_mask: Tensor | None = None) -> Tensor:
        """See :meth:`AttentionBackend.forward`."""
        self._check_mask(key_mask, k)
        return masked_mean(v, key_mask).expand(*q.shape[:-1], v.shape[-1])

    def offset(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """See :meth:`AttentionBackend.offset`; uniform weights stay so when normalised twice."""
        return v.mean(dim=-2, keepdim=True).expand_as(v)
