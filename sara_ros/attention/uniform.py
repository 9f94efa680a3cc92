"""The mean of the values: the control that every comparison shows."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from sara_ros.attention.backend import AttentionBackend, masked_mean, token_weight
from sara_ros.attention.prefix import prefix_mean
from sara_ros.attention.state import Moments, State, added, frame_moments, own_state, removed


class Uniform(AttentionBackend):
    """Give each key the same weight, whatever the query; no options."""

    name: ClassVar[str] = 'uniform'
    serves_any_checkpoint: ClassVar[bool] = True
    supports_key_mask: ClassVar[bool] = True

    def forward(self, q: Tensor, k: Tensor, v: Tensor, key_mask: Tensor | None = None) -> Tensor:
        """See :meth:`AttentionBackend.forward`."""
        self._check_mask(key_mask, k)
        return masked_mean(v, key_mask).expand(*q.shape[:-1], v.shape[-1])

    def offset(self, q: Tensor, k: Tensor, v: Tensor, key_mask: Tensor | None = None) -> Tensor:
        """See :meth:`AttentionBackend.offset`; uniform weights stay so when normalised twice."""
        self._check_tokens(q, k, 'offset')
        self._check_mask(key_mask, k)
        mean = masked_mean(v, key_mask).expand_as(v)
        return mean if key_mask is None else mean * token_weight(key_mask, v)

    def causal(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """See :meth:`AttentionBackend.causal`."""
        self._check_tokens(q, k, 'causal')
        return prefix_mean(v).to(v.dtype)

    def absorb(self, state: State | None, k: Tensor, v: Tensor) -> State:
        """See :meth:`AttentionBackend.absorb`."""
        before = None if state is None else own_state(self.name, state, Moments)
        return added(before, _moments(v))

    def release(self, state: State, k: Tensor, v: Tensor) -> State:
        """See :meth:`AttentionBackend.release`."""
        return removed(own_state(self.name, state, Moments, k.shape[-2]), _moments(v))

    def read(self, state: State, q: Tensor) -> Tensor:
        """See :meth:`AttentionBackend.read`."""
        held = own_state(self.name, state, Moments, 1)
        mean = held.value[..., :-1] / held.tokens  # (B, H, 1, Dv)
        return mean.to(q.dtype).expand(*q.shape[:-1], mean.shape[-1])


def _moments(v: Tensor) -> Moments:
    return frame_moments(v.new_ones(*v.shape[:-1], 1), v)
