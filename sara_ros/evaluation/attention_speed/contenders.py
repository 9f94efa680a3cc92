"""What is timed side by side: attention over one set of tokens, in every form we know."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
import time
from typing import Final

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from sara_ros.attention import AttentionBackend, backend_class, backend_names, create
from sara_ros.core import ParameterError
from sara_ros.evaluation.attention_speed.peers import PEERS, Mix, Peer, peer_attention
from sara_ros.evaluation.attention_speed.reference import folded, reference

SDPA: Final = 'torch SDPA'
NAIVE: Final = 'naive'
FOLDED: Final = ' folded'
"""Ends the name of a backend whose map lies in the projections, as it does when serving."""

CHOOSING: Final = ('auto',)
"""Backends that are one of the others."""

NAIVE_BYTES: Final = 2e9
CHECKED_TOKENS: Final = 1024
"""References are quadratic; outputs are compared with them up to this many tokens."""

TOLERANCE: Final = 2e-3
"""Largest error in f32, as a share of the reference's largest number."""


@dataclass(frozen=True, slots=True)
class Cell:
    """
    One point of the grid; all its contenders get the same inputs.

    :param family: ``bidirectional``, ``pct``, ``pct_layer``, ``history`` or ``history_vit``.
    :param size: tokens, points or frames.
    :param dtype: name of a floating dtype of torch.
    """

    family: str
    size: int
    head_dim: int
    dtype: str
    heads: int = 6

    @property
    def torch_dtype(self) -> torch.dtype:
        """The dtype of inputs and weights."""
        dtype: torch.dtype = getattr(torch, self.dtype)
        return dtype

    @property
    def label(self) -> str:
        """The cell in a few words."""
        return f'{self.family} {self.size}, head size {self.head_dim}, {self.dtype}'


@dataclass(frozen=True, slots=True)
class Contender:
    """Something to time, and the readable function it must agree with."""

    call: Callable[[], Tensor]
    reference: Callable[[], Tensor] | None = None


@dataclass(frozen=True, slots=True)
class Field:
    """Those that take part, with the error and duration of a first call; why others do not."""

    calls: dict[str, Callable[[], Tensor]] = field(default_factory=dict)
    errors: dict[str, float] = field(default_factory=dict)
    first_sec: dict[str, float] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)


def timed_backends(names: Sequence[str] = ()) -> tuple[str, ...]:
    """
    Return ``names``, or all backends of the registry but those that choose another one.

    :raises ParameterError: for a name that is not known.
    """
    for name in names:
        backend_class(name)
    return tuple(names) or tuple(name for name in backend_names() if name not in CHOOSING)


@torch.inference_mode()
def admit(cell: Cell, candidates: Mapping[str, Contender], left_out: dict[str, str]) -> Field:
    """
    Call each candidate once, leave out those without the form, compare with the reference.

    :raises ParameterError: when one computes something else than its reference.
    """
    result = Field(left_out=dict(left_out))
    for name, candidate in candidates.items():
        began = time.perf_counter()
        try:
            output = candidate.call()
        except ParameterError as err:
            result.left_out[name] = reason(err)
            continue
        result.calls[name] = candidate.call
        result.first_sec[name] = time.perf_counter() - began
        if candidate.reference is not None and cell.size <= CHECKED_TOKENS:
            result.errors[name] = _error(cell, name, output, candidate.reference())
    return result


def built_backends(
    cell: Cell, names: Sequence[str], heads: int
) -> tuple[dict[str, AttentionBackend], dict[str, str]]:
    """Return backends with default options and their folded forms, and why some are absent."""
    made: dict[str, AttentionBackend] = {}
    left_out: dict[str, str] = {}
    for name in names:
        torch.manual_seed(0)
        try:
            backend = create(name, head_dim=cell.head_dim, heads=heads)
        except ParameterError as err:
            left_out[name] = reason(err)
            continue
        made[name] = backend.eval().to(cell.torch_dtype)
        inner = folded(made[name])
        if inner is not None:
            made[name + FOLDED] = inner.eval().to(cell.torch_dtype)
    return made, left_out


def random_tokens(cell: Cell, *shapes: tuple[int, ...]) -> Iterator[Tensor]:
    """Yield contiguous standard normal tensors, the same for each call with the same cell."""
    generator = torch.Generator().manual_seed(cell.size + cell.head_dim)
    for shape in shapes:
        yield torch.randn(shape, generator=generator).to(cell.torch_dtype)


def naive_softmax(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Softmax attention as commonly written out; holds the scores of all pairs."""
    scores = q @ k.transpose(-2, -1) * float(q.shape[-1]) ** -0.5
    mixed: Tensor = scores.softmax(dim=-1) @ v
    return mixed


def bidirectional(cell: Cell, names: Sequence[str]) -> Field:
    """Return SDPA, naive softmax, every backend and the peers on ``(1, H, N, D)``."""
    shape = (1, cell.heads, cell.size, cell.head_dim)
    q, k, v = random_tokens(cell, shape, shape, shape)
    backends, left_out = built_backends(cell, names, cell.heads)
    candidates = {SDPA: Contender(partial(scaled_dot_product_attention, q, k, v))}
    # Scores and weights are both in memory at one time.
    needed = 2 * q.element_size() * cell.heads * cell.size**2
    if needed > NAIVE_BYTES:
        left_out[NAIVE] = f'needs {needed / 1e9:.1f} GB for all pairs of tokens'
    else:
        candidates[NAIVE] = Contender(partial(naive_softmax, q, k, v))
    for name, backend in backends.items():
        expected = reference(backend)
        checked = partial(expected, q, k, v) if expected else None
        candidates[name] = Contender(partial(backend, q, k, v), checked)
    for peer in PEERS:
        mix = peer_attention(peer, cell.head_dim, cell.torch_dtype)
        if isinstance(mix, str):
            left_out[peer.package] = mix
        else:
            candidates[peer.package] = Contender(partial(_peer, peer, mix, q, k, v))
    return admit(cell, candidates, left_out)


def _peer(peer: Peer, mix: Mix, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    try:
        return mix(q, k, v)
    except Exception as err:
        raise ParameterError(f'{peer.package}: {type(err).__name__}: {err}') from err


def reason(err: ParameterError) -> str:
    """Return why a backend cannot take part, without what it advises the builder of a model."""
    return str(err).split(';')[0]


def _error(cell: Cell, name: str, output: Tensor, expected: Tensor) -> float:
    error = float((output.float() - expected).abs().max() / expected.abs().max())
    if cell.dtype == 'float32' and not error <= TOLERANCE:
        raise ParameterError(
            f"benchmark of '{name}' ({cell.label}): differs from its reference by {error:.2g} of "
            f'the largest number, above {TOLERANCE}; correct the backend before timing it'
        )
    return error
