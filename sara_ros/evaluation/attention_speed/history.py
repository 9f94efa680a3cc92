"""Attention over a sliding window of frames: a state that is carried, or a cache that is read."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from sara_ros.attention import AttentionBackend
from sara_ros.evaluation.attention_speed.contenders import (
    SDPA,
    Cell,
    Contender,
    Field,
    admit,
    built_backends,
    random_tokens,
)
from sara_ros.evaluation.attention_speed.reference import reference

SMALL_FRAME: Final = 64
VIT_FRAME: Final = 197
"""Tokens of a picture of 224 pixels in patches of 16, and the class token."""
KV_CACHE: Final = SDPA + ', KV cache'
RECOMPUTED: Final = SDPA + ', all frames again'


class Frame(NamedTuple):
    """Queries, keys and values ``(1, H, T, D)`` of one frame."""

    q: Tensor
    k: Tensor
    v: Tensor


class Window:
    """An endless stream of frames and the latest ones of it; the pool is one frame longer."""

    def __init__(self, pool: Sequence[Frame]) -> None:
        """Start with a full window."""
        self._pool = pool
        self.size = len(pool) - 1
        self.count = self.size

    def advance(self) -> tuple[Frame, Frame]:
        """Return the frame that enters and the one that leaves."""
        entering, leaving = self._at(self.count), self._at(self.count - self.size)
        self.count += 1
        return entering, leaving

    @property
    def frames(self) -> list[Frame]:
        """The window, oldest first."""
        return [self._at(index) for index in range(self.count - self.size, self.count)]

    def joined(self) -> Frame:
        """Return the tokens of all frames in the window."""
        return Frame(*(torch.cat(parts, dim=-2) for parts in zip(*self.frames, strict=True)))

    def _at(self, index: int) -> Frame:
        return self._pool[index % len(self._pool)]


class Recurrent:
    """A backend's recurrent form: one frame in, the oldest out, the new frame's queries read."""

    def __init__(self, backend: AttentionBackend, pool: Sequence[Frame]) -> None:
        """Prepare; the first call fills the state."""
        self._backend: Any = backend
        self.window = Window(pool)
        self._state: Any = None

    def __call__(self) -> Tensor:
        """Return the new frame's output ``(1, H, T, D)``."""
        if self._state is None:
            for frame in self.window.frames:
                self._state = self._backend.absorb(self._state, frame.k, frame.v)
        new, old = self.window.advance()
        grown = self._backend.absorb(self._state, new.k, new.v)
        self._state = self._backend.release(grown, old.k, old.v)
        output: Tensor = self._backend.read(self._state, new.q)
        return output

    def reference(self) -> Tensor:
        """Return what the latest call should have returned, from the window's tokens."""
        tokens = self.window.joined()
        expected = reference(self._backend) or self._backend
        output: Tensor = expected(self.window.frames[-1].q, tokens.k, tokens.v)
        return output.float()


class Cached:
    """SDPA over a ring of keys and values; without positions their order does not matter."""

    def __init__(self, pool: Sequence[Frame]) -> None:
        """Fill the ring."""
        self._window = Window(pool)
        joined = self._window.joined()
        self._k, self._v = joined.k.clone(), joined.v.clone()

    def __call__(self) -> Tensor:
        """Return the new frame's output ``(1, H, T, D)``."""
        slot = self._window.count % self._window.size
        new, _ = self._window.advance()
        tokens = new.k.shape[-2]
        place = slice(slot * tokens, (slot + 1) * tokens)
        self._k[..., place, :] = new.k
        self._v[..., place, :] = new.v
        return scaled_dot_product_attention(new.q, self._k, self._v)


def history(cell: Cell, names: Sequence[str]) -> Field:
    """Return the cost of one more frame of 64 tokens in a window of ``cell.size`` frames."""
    pool = _pool(cell, SMALL_FRAME)
    every = partial(scaled_dot_product_attention, *Window(pool).joined())
    return _field(cell, names, pool, {RECOMPUTED: Contender(every)})


def history_vit(cell: Cell, names: Sequence[str]) -> Field:
    """Return the same for frames of 197 tokens, too many to attend to all of them again."""
    return _field(cell, names, _pool(cell, VIT_FRAME), {})


def _pool(cell: Cell, tokens: int) -> list[Frame]:
    shape = (1, cell.heads, tokens, cell.head_dim)
    tensors = list(random_tokens(cell, *[shape] * (3 * (cell.size + 1))))
    return [Frame(*tensors[index : index + 3]) for index in range(0, len(tensors), 3)]


def _field(
    cell: Cell, names: Sequence[str], pool: list[Frame], others: dict[str, Contender]
) -> Field:
    backends, left_out = built_backends(cell, names, cell.heads)
    candidates = {KV_CACHE: Contender(Cached(pool)), **others}
    for name, backend in backends.items():
        stream = Recurrent(backend, pool)
        candidates[name] = Contender(stream, stream.reference)
    return admit(cell, candidates, left_out)
