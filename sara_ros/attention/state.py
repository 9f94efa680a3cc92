"""What the recurrent forms carry from frame to frame."""

from __future__ import annotations

from dataclasses import dataclass, replace
import math
from typing import TypeVar

import torch
from torch import Tensor

from sara_ros.core import ParameterError


@dataclass(frozen=True, slots=True)
class State:
    """A window of ``tokens`` tokens; backends extend it by what they need to know of them."""

    tokens: int


S = TypeVar('S', bound=State)


@dataclass(frozen=True, slots=True)
class KeyValues(State):
    """The tokens themselves: ``k (B, H, N, D)`` and ``v (B, H, N, Dv)``, oldest first."""

    k: Tensor
    v: Tensor


@dataclass(frozen=True, slots=True)
class Moments(State):
    """
    Sums over the window: ``2^exponent (sums + residue) = sum_j phi(k_j) [v_j, 1]^T``.

    ``sums`` and ``residue`` are f32 ``(B, H, M, Dv + 1)``. ``residue`` collects the rounding
    errors of ``sums`` (Neumaier 1974), so that a released frame leaves nothing behind, however
    long the stream. ``exponent`` ``(B, H, 1, 1)`` is whole, which makes every rescaling exact;
    None stands for 0. ``anchor`` ``(B, H, 1, D)`` is what a backend subtracts from every key.
    """

    sums: Tensor
    residue: Tensor
    exponent: Tensor | None = None
    anchor: Tensor | None = None

    @property
    def value(self) -> Tensor:
        """The sums ``(B, H, M, Dv + 1)``, to be multiplied by ``2^exponent``."""
        return self.sums + self.residue


def with_ones(v: Tensor) -> Tensor:
    """Return ``[v, 1]``, whose sums hold those of the weights in the last column."""
    return torch.cat((v, torch.ones_like(v[..., :1])), dim=-1)


def accumulating(x: Tensor) -> Tensor:
    """Return ``x`` in f32, or in f64 if it has that."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def frame_moments(
    phi: Tensor, v: Tensor, log: Tensor | None = None, anchor: Tensor | None = None
) -> Moments:
    """
    Return the sums of one frame.

    :param phi: ``(B, H, T, M)``, to be multiplied by the exponential of ``log (B, H, T, 1)``.
    :param v: ``(B, H, T, Dv)``.
    """
    phi, exponent = accumulating(phi), None
    if log is not None:
        log = accumulating(log)
        exponent = (log.amax(dim=-2, keepdim=True) / math.log(2)).ceil()
        phi = phi * (log - exponent * math.log(2)).exp()
    # Two products cost less than one with a column of ones, which would be copied and odd.
    weighted = phi.transpose(-2, -1) @ accumulating(v)
    sums = torch.cat((weighted, phi.sum(dim=-2).unsqueeze(-1)), dim=-1)  # (B, H, M, Dv + 1)
    return Moments(phi.shape[-2], sums, torch.zeros_like(sums), exponent, anchor)


def added(state: Moments | None, frame: Moments) -> Moments:
    """Return the window with a frame added."""
    return frame if state is None else _changed(state, frame, 1)


def removed(state: Moments, frame: Moments) -> Moments:
    """Return the window with a frame taken away; its sums must be as they were added."""
    return _changed(state, frame, -1)


def own_state(backend: str, state: State, kind: type[S], least: int = 0) -> S:
    """
    Return the state as one of the backend's kind that holds at least ``least`` tokens.

    :raises ParameterError: naming the difference.
    """
    if not isinstance(state, kind):
        raise ParameterError(
            f"attention backend '{backend}': the state is a {type(state).__name__}, not a "
            f'{kind.__name__}; pass what this backend returned'
        )
    if state.tokens < least:
        raise ParameterError(
            f"attention backend '{backend}': the state holds {state.tokens} tokens, {least} are "
            'needed; absorb before reading, and release only what was absorbed'
        )
    return state


def _changed(state: Moments, frame: Moments, sign: int) -> Moments:
    tokens = state.tokens + sign * frame.tokens
    if tokens == 0:
        zero = torch.zeros_like(state.sums)
        return replace(state, tokens=0, sums=zero, residue=zero)
    state, change = _on_one_scale(state, frame)
    sums, error = _two_sum(state.sums, sign * change)
    return replace(state, tokens=tokens, sums=sums, residue=state.residue + error)


def _on_one_scale(state: Moments, frame: Moments) -> tuple[Moments, Tensor]:
    if state.exponent is None or frame.exponent is None:
        return state, frame.sums
    if state.tokens == 0:
        return replace(state, exponent=frame.exponent), frame.sums
    top = torch.maximum(state.exponent, frame.exponent)
    factor = _power(state.exponent - top)
    raised = replace(state, sums=state.sums * factor, residue=state.residue * factor, exponent=top)
    return raised, frame.sums * _power(frame.exponent - top)


def _power(exponent: Tensor) -> Tensor:
    return torch.ldexp(torch.ones_like(exponent), exponent)


def _two_sum(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Return ``a + b`` rounded, and exactly what rounding took away (Knuth 1969)."""
    total = a + b
    shadow = total - a
    return total, (a - (total - shadow)) + (b - shadow)
