"""PCT's double-normalised attention, alone and in its layer, for the benchmark."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import ClassVar, Final

import torch
from torch import Tensor

from sara_ros.attention import AttentionBackend
from sara_ros.core import ParameterError
from sara_ros.evaluation.attention_speed.contenders import (
    NAIVE,
    Cell,
    Contender,
    Field,
    admit,
    built_backends,
    random_tokens,
    reason,
)
from sara_ros.evaluation.attention_speed.reference import reference
from sara_ros.policies.pct_network import OffsetAttention

WIDTH_RATIO: Final = 4
"""Values are four times as wide as the shared queries and keys (Guo et al. 2021, section 3)."""


class NaiveOffset(AttentionBackend):
    """Offset attention as PCT's published code computes it: both normalisations on the matrix."""

    name: ClassVar[str] = NAIVE

    def offset(self, q: Tensor, k: Tensor, v: Tensor, key_mask: Tensor | None = None) -> Tensor:
        """See :meth:`AttentionBackend.offset`; takes no mask."""
        self._check_mask(key_mask, k)
        weights = (q @ k.transpose(-2, -1)).softmax(dim=-1)
        weights = weights / (1e-9 + weights.sum(dim=-2, keepdim=True))
        return weights.transpose(-2, -1) @ v


def pct(cell: Cell, names: Sequence[str]) -> Field:
    """Return the PCT form of every backend: one head, shared queries and keys ``(1, 1, N, D)``."""
    tokens = (1, 1, cell.size)
    x, v = random_tokens(cell, (*tokens, cell.head_dim), (*tokens, WIDTH_RATIO * cell.head_dim))
    # PCT does not divide by sqrt(D); unit scores come from smaller inputs.
    x = x * float(cell.head_dim) ** -0.25
    backends, left_out = built_backends(cell, names, heads=1)
    candidates = {NAIVE: Contender(partial(NaiveOffset().offset, x, x, v))}
    for name, backend in backends.items():
        expected = reference(backend, '_offset')
        checked = partial(expected, x, x, v) if expected else None
        candidates[name] = Contender(partial(backend.offset, x, x, v), checked)
    return admit(cell, candidates, left_out)


def pct_layer(cell: Cell, names: Sequence[str]) -> Field:
    """Return whole offset-attention layers with the same weights, on ``(1, N, 4 D)``."""
    width = WIDTH_RATIO * cell.head_dim
    (x,) = random_tokens(cell, (1, cell.size, width))
    candidates, left_out = {}, {}
    for name in (NAIVE, *names):
        try:
            candidates[name] = Contender(partial(_layer(cell, name, width), x))
        except ParameterError as err:
            left_out[name] = reason(err)
    return admit(cell, candidates, left_out)


def _layer(cell: Cell, name: str, width: int) -> OffsetAttention:
    torch.manual_seed(0)
    layer = OffsetAttention(width, 'softmax' if name == NAIVE else name, {})
    if name == NAIVE:
        layer.attention = NaiveOffset()
    return layer.eval().to(cell.torch_dtype)
