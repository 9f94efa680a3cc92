"""First-order Taylor attention with a constant denominator (ViTALiTy)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar, Final

import torch
from torch import Tensor

from sara_ros.attention.backend import AttentionBackend, masked_mean, token_weight
from sara_ros.attention.feature_map import Features
from sara_ros.attention.options import check_between, check_choice, check_whole
from sara_ros.attention.prefix import prefix_mean, prefix_sums
from sara_ros.attention.softmax import pct_weights, row_weights
from sara_ros.attention.state import (
    Moments,
    State,
    accumulating,
    added,
    frame_moments,
    own_state,
    removed,
)
from sara_ros.attention.taylor_sparse import with_strong_pairs

PATHS: Final = ('auto', 'context', 'weights')


@dataclass(frozen=True, slots=True)
class TaylorOptions:
    """
    Options of :class:`Taylor`.

    :param path: ``context`` multiplies the queries by ``k^T v``, linear in the number of tokens;
        ``weights`` builds the weight of each pair, faster for fewer tokens than dimensions;
        ``auto`` takes what has fewer multiplications. Both compute the same.
    :param sparse_threshold: softmax weight in (0, 1) above which training uses the exact weight
        of a pair; 0 leaves the sparse branch out.
    :param sparse_bits: to which queries and keys are rounded to predict that weight.
    """

    path: str = 'auto'
    sparse_threshold: float = 0.0
    sparse_bits: int = 4

    def __post_init__(self) -> None:
        """Check the values."""
        check_choice('taylor', 'path', self.path, PATHS)
        check_between('taylor', 'sparse_threshold', self.sparse_threshold, 0, 1)
        check_whole('taylor', 'sparse_bits', self.sparse_bits, 2)


class Taylor(AttentionBackend):
    """
    ``exp(x)`` replaced by ``1 + x`` after centring the keys over tokens.

    Softmax does not change when a vector is added to all keys. With centred keys the sum of
    ``1 + q.k / sqrt(D)`` over keys is the number of keys, so nothing is divided by a sum that
    could vanish (ViTALiTy, Dass et al. 2023, equations 3 to 5). Weights can be negative.

    In training mode the sparse branch (section III-C there) adds softmax minus Taylor for the
    pairs predicted to be strong, which builds the weights of all pairs; inference drops it. It
    belongs to the bidirectional and the PCT form.
    """

    name: ClassVar[str] = 'taylor'
    serves_any_checkpoint: ClassVar[bool] = True
    supports_key_mask: ClassVar[bool] = True
    Options = TaylorOptions

    def __init__(self, *, head_dim: int, heads: int, options: TaylorOptions) -> None:
        """Keep the options; there is nothing to learn."""
        super().__init__()
        self.options = options

    def forward(self, q: Tensor, k: Tensor, v: Tensor, key_mask: Tensor | None = None) -> Tensor:
        """See :meth:`AttentionBackend.forward`."""
        self._check_mask(key_mask, k)
        scale = float(q.shape[-1]) ** -0.5
        centred = _centred(k, key_mask)
        if self._sparse:
            weights = first_order(q * scale, centred, key_mask)
            exact = partial(row_weights, key_mask=key_mask)
            mixed: Tensor = self._with_strong_pairs(weights, exact, q * scale, k) @ v
            return mixed
        return self._mix(q, centred, v, key_mask, scale)

    def offset(self, q: Tensor, k: Tensor, v: Tensor, key_mask: Tensor | None = None) -> Tensor:
        """
        See :meth:`AttentionBackend.offset`.

        To first order the second normalisation centres the queries as the first does the keys,
        and both denominators are constant: ``A_ij = (1 + (q_i - mean q).(k_j - mean k)) / N``.
        """
        self._check_tokens(q, k, 'offset')
        self._check_mask(key_mask, k)
        queries, keys = _centred(q, key_mask), _centred(k, key_mask)
        if self._sparse:
            weights = first_order(keys, queries, key_mask)
            exact = partial(pct_weights, key_mask=key_mask)
            mixed = self._with_strong_pairs(weights, exact, q, k) @ v
        else:
            mixed = self._mix(keys, queries, v, key_mask)
        return mixed if key_mask is None else mixed * token_weight(key_mask, v)

    def causal(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """See :meth:`AttentionBackend.causal`; the keys of ``1 .. i`` are centred for query i."""
        self._check_tokens(q, k, 'causal')
        scaled = accumulating(q) * float(q.shape[-1]) ** -0.5
        # Any vector may be subtracted from all keys; the first one makes the sums small.
        keys = accumulating(k) - accumulating(k[..., :1, :])
        mean_v = prefix_mean(v)
        count = torch.arange(1, k.shape[-2] + 1, device=k.device)[:, None]
        slope = prefix_sums(scaled, Features(keys), v) / count  # (B, H, N, Dv)
        centre = (scaled * prefix_mean(keys)).sum(dim=-1, keepdim=True)  # (B, H, N, 1)
        mixed: Tensor = mean_v + slope - centre * mean_v
        return mixed.to(v.dtype)

    def absorb(self, state: State | None, k: Tensor, v: Tensor) -> State:
        """See :meth:`AttentionBackend.absorb`."""
        if state is None:
            return _moments(k, v, accumulating(k[..., :1, :]).detach())
        held = own_state(self.name, state, Moments)
        return added(held, _moments(k, v, held.anchor))

    def release(self, state: State, k: Tensor, v: Tensor) -> State:
        """See :meth:`AttentionBackend.release`; the keys that stay are centred anew."""
        held = own_state(self.name, state, Moments, k.shape[-2])
        return removed(held, _moments(k, v, held.anchor))

    def read(self, state: State, q: Tensor) -> Tensor:
        """See :meth:`AttentionBackend.read`."""
        held = own_state(self.name, state, Moments, 1)
        means = held.value / held.tokens  # of [k - anchor, 1]^T [v, 1]
        mean_k, mean_v = means[..., :-1, -1:], means[..., -1:, :-1]
        context = means[..., :-1, :-1] - mean_k @ mean_v  # (B, H, D, Dv)
        scaled = accumulating(q) * float(q.shape[-1]) ** -0.5
        mixed: Tensor = mean_v + scaled @ context
        return mixed.to(q.dtype)

    @property
    def _sparse(self) -> bool:
        return self.training and self.options.sparse_threshold > 0

    def _with_strong_pairs(
        self, weights: Tensor, exact: Callable[[Tensor, Tensor], Tensor], q: Tensor, k: Tensor
    ) -> Tensor:
        return with_strong_pairs(
            weights, exact, q, k,
            threshold=self.options.sparse_threshold, bits=self.options.sparse_bits,
        )  # fmt: skip

    def _mix(
        self, a: Tensor, b: Tensor, v: Tensor, key_mask: Tensor | None, scale: float = 1.0
    ) -> Tensor:
        """Return ``sum_j (1 + scale a_i . b_j) v_j / N`` for ``b`` that sum to zero."""
        if self._builds_weights(a, b, v):
            return first_order(a * scale, b, key_mask) @ v
        context = b.transpose(-2, -1) @ v * scale / _count(b, key_mask)  # (B, H, D, Dv)
        mixed: Tensor = masked_mean(v, key_mask) + a @ context
        return mixed

    def _builds_weights(self, a: Tensor, b: Tensor, v: Tensor) -> bool:
        if self.options.path != 'auto':
            return self.options.path == 'weights'
        dim, value_dim = b.shape[-1], v.shape[-1]
        pairs, tokens = a.shape[-2] * b.shape[-2], a.shape[-2] + b.shape[-2]
        return pairs * (dim + value_dim) < tokens * dim * value_dim


def first_order(a: Tensor, b: Tensor, key_mask: Tensor | None = None) -> Tensor:
    """Return the weights ``(1 + a_i . b_j) / N``, ``(B, H, Na, Nb)``, zero for masked ``b``."""
    weights: Tensor = (1 + a @ b.transpose(-2, -1)) / _count(b, key_mask)
    return weights if key_mask is None else weights * key_mask[:, None, None, :]


def _centred(x: Tensor, key_mask: Tensor | None) -> Tensor:
    """Return ``(B, H, N, D)`` minus its mean over tokens; masked tokens are zero."""
    centred = x - masked_mean(x, key_mask)
    return centred if key_mask is None else centred * token_weight(key_mask, x)


def _count(x: Tensor, key_mask: Tensor | None) -> Tensor | float:
    """Return how many tokens of ``(B, H, N, D)`` take part."""
    if key_mask is None:
        return float(x.shape[-2])
    return key_mask.sum(dim=-1).clamp_min(1)[:, None, None, None]


def _moments(k: Tensor, v: Tensor, anchor: Tensor | None) -> Moments:
    """Return the sums of ``[k - anchor, 1]^T [v, 1]`` over one frame."""
    shifted = accumulating(k) if anchor is None else accumulating(k) - anchor
    keys = frame_moments(shifted, v, anchor=anchor)
    total = accumulating(v).sum(dim=-2, keepdim=True)
    counted = torch.cat((total, torch.full_like(total[..., :1], k.shape[-2])), dim=-1)
    sums = torch.cat((keys.sums, counted), dim=-2)  # (B, H, D + 1, Dv + 1)
    return replace(keys, sums=sums, residue=torch.zeros_like(sums))
