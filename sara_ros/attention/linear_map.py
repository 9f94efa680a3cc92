"""What the backends with a linear feature map share: all forms, given the two maps."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from sara_ros.attention.backend import AttentionBackend
from sara_ros.attention.feature_map import (
    Features,
    linear_attention,
    linear_offset_attention,
)
from sara_ros.attention.prefix import prefix_attention
from sara_ros.attention.state import (
    Moments,
    State,
    accumulating,
    added,
    frame_moments,
    own_state,
    removed,
)


class LinearMap(AttentionBackend):
    """
    Weights ``phi_q(q_i) . phi_k(k_j)`` over their sum, for any two maps to features.

    A backend is its :meth:`map_queries` and :meth:`map_keys`; a factor that the features of one
    query share cancels, for keys only one that all of them share.
    """

    supports_key_mask: ClassVar[bool] = True

    def map_queries(self, q: Tensor) -> Features:
        """Map queries ``(B, H, N, D)`` to features ``(B, H, N, M)``."""
        raise NotImplementedError

    def map_keys(self, k: Tensor) -> Features:
        """Map keys ``(B, H, N, D)`` to features ``(B, H, N, M)``."""
        raise NotImplementedError

    def forward(self, q: Tensor, k: Tensor, v: Tensor, key_mask: Tensor | None = None) -> Tensor:
        """See :meth:`AttentionBackend.forward`."""
        self._check_mask(key_mask, k)
        phi_k = self.map_keys(k)
        return linear_attention(
            self.map_queries(q).values, phi_k.on_one_scale(key_mask), v, phi_k.epsilon
        )

    def offset(self, q: Tensor, k: Tensor, v: Tensor, key_mask: Tensor | None = None) -> Tensor:
        """See :meth:`AttentionBackend.offset`."""
        self._check_tokens(q, k, 'offset')
        self._check_mask(key_mask, k)
        return linear_offset_attention(self.map_queries(q).values, self.map_keys(k), v, key_mask)

    def causal(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """See :meth:`AttentionBackend.causal`; linear in the number of tokens."""
        self._check_tokens(q, k, 'causal')
        return prefix_attention(self.map_queries(q).values, self.map_keys(k), v)

    def absorb(self, state: State | None, k: Tensor, v: Tensor) -> State:
        """See :meth:`AttentionBackend.absorb`."""
        before = None if state is None else own_state(self.name, state, Moments)
        return added(before, self._moments(k, v))

    def release(self, state: State, k: Tensor, v: Tensor) -> State:
        """
        See :meth:`AttentionBackend.release`.

        Exponential features keep f32 precision while they are within a factor of ``e^16`` of the
        largest that were absorbed since the window was last empty.
        """
        return removed(own_state(self.name, state, Moments, k.shape[-2]), self._moments(k, v))

    def read(self, state: State, q: Tensor) -> Tensor:
        """See :meth:`AttentionBackend.read`."""
        held = own_state(self.name, state, Moments, 1)
        features, sums = self.map_queries(q), held.value
        phi_q = accumulating(features.values)
        mixed: Tensor = phi_q @ sums[..., :-1]  # (B, H, Nq, Dv)
        return (mixed / (phi_q @ sums[..., -1:] + features.epsilon)).to(q.dtype)

    def _moments(self, k: Tensor, v: Tensor) -> Moments:
        features = self.map_keys(k)
        return frame_moments(features.values, v, features.log)
