"""Exact attention to neighbouring tokens, linear attention to all others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

import torch
from torch import Tensor, nn

from sara_ros.attention.backend import AttentionBackend
from sara_ros.attention.banded import (
    band,
    band_before,
    delayed,
    far_sums,
    neighbour_blocks,
    own_blocks,
)
from sara_ros.attention.factory import build, find, table
from sara_ros.attention.feature_map import TINY, Features
from sara_ros.attention.hedgehog import Hedgehog
from sara_ros.attention.linear_map import LinearMap
from sara_ros.attention.options import check_choice, check_whole
from sara_ros.attention.performer import Performer
from sara_ros.attention.prefix import prefix_sums
from sara_ros.attention.sara import Sara
from sara_ros.attention.state import accumulating, with_ones

_LINEAR: Final[dict[str, type[LinearMap]]] = table(Sara, Performer, Hedgehog)
_SAMPLES: Final = 256


@dataclass(frozen=True, slots=True)
class WindowLinearOptions:
    """
    Options of :class:`WindowLinear`.

    :param window: tokens on either side that are attended to exactly.
    :param linear: backend with a feature map for the others.
    :param linear_options: options of that backend.
    """

    window: int = 16
    linear: str = 'sara'
    linear_options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check the values."""
        check_whole('window+linear', 'window', self.window, 1)
        check_choice('window+linear', 'linear', self.linear, _LINEAR)


class WindowLinear(AttentionBackend):
    """
    Weights ``exp(q_i.k_j / sqrt(D))`` for ``|i - j| <= window``, a linear map's for the rest.

    Both share one denominator (LoLCATs, Zhang et al. 2024, equation 6, in both directions). The
    weights of the map are multiplied by a learnable factor for each head. It starts where normal
    queries and keys give both kinds the same mean.

    Tokens are taken in blocks of ``window``: a block sees itself and both neighbours pair by
    pair, and what lies further through sums over the blocks before and after. Nothing is
    subtracted, so a large weight near by takes no precision from small ones far away.
    """

    name: ClassVar[str] = 'window+linear'
    serves_any_checkpoint: ClassVar[bool] = True
    supports_key_mask: ClassVar[bool] = True
    missing: ClassVar[Mapping[str, str]] = {
        'offset': 'its window is one of neighbours in a sequence, and the points of a cloud have '
        'no order',
        'read': 'its window is one of neighbours in a sequence, and the tokens of a frame are '
        'read together',
    }
    Options = WindowLinearOptions

    def __init__(self, *, head_dim: int, heads: int, options: WindowLinearOptions) -> None:
        """Build the linear map and balance it; see :class:`WindowLinearOptions`."""
        super().__init__()
        self.window = options.window
        self.linear = build(find(_LINEAR, options.linear), head_dim, heads, options.linear_options)
        self.log_factor = nn.Parameter(_balance(self.linear, head_dim, heads))  # (H, 1, 1)

    def forward(self, q: Tensor, k: Tensor, v: Tensor, key_mask: Tensor | None = None) -> Tensor:
        """See :meth:`AttentionBackend.forward`; as many queries as keys."""
        self._check_tokens(q, k, 'forward')
        self._check_mask(key_mask, k)
        queries, keys = self.linear.map_queries(q), self.linear.map_keys(k)
        phi_q = own_blocks(queries.values, self.window)
        phi_k = keys.on_one_scale(key_mask)
        values = with_ones(v)
        within = band(self.window, q.device)
        scores = self._scores(q, k, within, key_mask)  # (B, H, N / W, W, 3 W)
        log = own_blocks(self._log_scale(queries, keys.largest_log(key_mask)), self.window)
        level = torch.maximum(scores.amax(dim=-1, keepdim=True), log).detach()
        factor = (log - level).exp()
        linear = phi_q @ neighbour_blocks(phi_k, self.window).transpose(-2, -1)
        weights = (scores - level).exp() + factor * linear.masked_fill(within, 0)
        near = weights @ neighbour_blocks(values, self.window)
        far = phi_q @ far_sums(phi_k, values, self.window)
        mixed = (near + factor * far).flatten(2, 3)[:, :, : q.shape[-2]]
        return mixed[..., :-1] / (mixed[..., -1:] + TINY)

    def causal(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """See :meth:`AttentionBackend.causal`; exact for the token and ``window`` before it."""
        self._check_tokens(q, k, 'causal')
        queries, keys = self.linear.map_queries(q), self.linear.map_keys(k)
        lowest, values = torch.finfo(torch.float32).min, with_ones(accumulating(v))
        # What token i may take from the sums is what lies more than a window before it.
        logs = None if keys.log is None else delayed(keys.log, self.window + 1, lowest)
        phi_k = Features(delayed(keys.values, self.window + 1), logs)
        far = prefix_sums(queries.values, phi_k, delayed(values, self.window + 1))
        log = self._log_scale(queries, None if logs is None else logs.cummax(dim=-2).values)
        log = own_blocks(log, self.window)
        scores = self._scores(accumulating(q), accumulating(k), band_before(self.window, q.device))
        level = torch.maximum(scores.amax(dim=-1, keepdim=True), log).detach()
        near = (scores - level).exp() @ neighbour_blocks(values, self.window)
        mixed = near + (log - level).exp() * own_blocks(far, self.window)
        mixed = mixed.flatten(2, 3)[:, :, : q.shape[-2]]
        return (mixed[..., :-1] / (mixed[..., -1:] + TINY)).to(v.dtype)

    def _scores(
        self, q: Tensor, k: Tensor, within: Tensor, key_mask: Tensor | None = None
    ) -> Tensor:
        """Return the scores of neighbours ``within``, the lowest number for all others."""
        keep = k.new_ones(1, 1, k.shape[-2], 1)
        if key_mask is not None:
            keep = keep * key_mask[:, None, :, None]
        seen = neighbour_blocks(keep, self.window).transpose(-2, -1) > 0  # (B, 1, N / W, 1, 3 W)
        scaled = own_blocks(q * float(q.shape[-1]) ** -0.5, self.window)
        scores = scaled @ neighbour_blocks(k, self.window).transpose(-2, -1)
        outside = ~(seen & within)
        return scores.masked_fill(outside, torch.finfo(scores.dtype).min)

    def _log_scale(self, queries: Features, of_keys: Tensor | None) -> Tensor:
        """Return what the linear weights are multiplied by, as a logarithm ``(B, H, N, 1)``."""
        log = self.log_factor.expand(*queries.values.shape[:-1], 1)
        for part in (queries.log, of_keys):
            log = log if part is None else log + part
        return log


def _balance(linear: LinearMap, head_dim: int, heads: int) -> Tensor:
    """Return the logarithm ``(H, 1, 1)`` of the mean softmax weight over the mean linear one."""
    generator = torch.Generator('cpu').manual_seed(0)
    q, k = torch.randn(2, 1, heads, _SAMPLES, head_dim, generator=generator)
    with torch.no_grad():
        exact = (q @ k.transpose(-2, -1) * head_dim**-0.5).exp()
        queries, keys = linear.map_queries(q), linear.map_keys(k)
        approximate = queries.on_one_scale() @ keys.on_one_scale().transpose(-2, -1)
        log = exact.mean(dim=(-2, -1)).log() - approximate.mean(dim=(-2, -1)).log()  # (1, H)
        for part in (queries.largest_log(), keys.largest_log()):
            log = log if part is None else log - part[..., 0, 0]
    factor: Tensor = log[0, :, None, None]
    return factor
