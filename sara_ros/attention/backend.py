"""The seam that every attention backend fits in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final

import torch
from torch import Tensor, nn

from sara_ros.attention.state import State
from sara_ros.core import ParameterError

FORMS: Final[Mapping[str, str]] = {
    'forward': 'bidirectional form',
    'offset': 'double-normalised (PCT) form',
    'causal': 'causal form',
    'read': 'recurrent form',
}
"""Method that makes each form, and what the form is called."""


class AttentionBackend(nn.Module):
    """
    Mix values over tokens, given queries and keys that are already split into heads.

    Tensors are ``(B, H, N, D)``; queries may have another number of tokens than keys and values.
    A backend implements the forms it has; the others raise :class:`ParameterError`, so that a
    model which needs one says so when it is built or first run, and never computes another
    function in silence.

    The recurrent form carries a :class:`State` from frame to frame. Whatever was absorbed and
    not released is the window, and ``read(state, q)`` equals ``forward(q, k, v)`` with the keys
    and values of the window's tokens: exactly in real numbers, to f32 rounding here.

    ``name`` is the registry name; ``serves_any_checkpoint`` says whether the backend with its
    default options is determined without trained weights, so that it can replace another one in
    a finished checkpoint (which says nothing about the quality of the result). ``missing`` may
    give the reason why a form does not exist.
    """

    name: ClassVar[str] = ''
    serves_any_checkpoint: ClassVar[bool] = False
    supports_key_mask: ClassVar[bool] = False
    missing: ClassVar[Mapping[str, str]] = {}

    def forward(self, q: Tensor, k: Tensor, v: Tensor, key_mask: Tensor | None = None) -> Tensor:
        """
        Attend in both directions.

        :param key_mask: ``(B, N)`` bool, true where a key takes part; ``None`` for all. Where no
            key takes part the result is zero.
        :returns: ``(B, H, Nq, Dv)``.
        """
        raise self._unsupported('forward')

    def offset(self, q: Tensor, k: Tensor, v: Tensor, key_mask: Tensor | None = None) -> Tensor:
        """
        Attend as PCT's offset attention does (Guo et al. 2021, equation 6 and its text).

        Rows are normalised over keys, then columns over queries, and values are summed over the
        *query* axis: ``out_j = sum_i A_ij v_i / sum_i A_ij``. PCT passes the same tensor as ``q``
        and ``k`` and does not divide by ``sqrt(D)``.

        :param key_mask: ``(B, N)`` bool; a masked token is neither query nor key, and its row of
            the result is zero.
        """
        raise self._unsupported('offset')

    def causal(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Attend to the own token and earlier ones only; as many queries as keys."""
        raise self._unsupported('causal')

    def absorb(self, state: State | None, k: Tensor, v: Tensor) -> State:
        """
        Return the state with the tokens of a new frame added.

        :param state: ``None`` for an empty window.
        :param k: ``(B, H, T, D)``; ``v`` is ``(B, H, T, Dv)``.
        """
        raise self._unsupported('read')

    def release(self, state: State, k: Tensor, v: Tensor) -> State:
        """
        Return the state without its oldest frame, whose keys and values are given as absorbed.

        :raises ParameterError: when the state holds fewer tokens.
        """
        raise self._unsupported('read')

    def read(self, state: State, q: Tensor) -> Tensor:
        """
        Attend from ``(B, H, Nq, D)`` to all tokens that the state holds.

        :raises ParameterError: when it holds none.
        """
        raise self._unsupported('read')

    @classmethod
    def has(cls, form: str) -> bool:
        """Return whether the backend implements one of :data:`FORMS`."""
        return getattr(cls, form) is not getattr(AttentionBackend, form)

    def require(self, form: str) -> None:
        """
        Check, when a model is built, that the form it needs exists.

        :raises ParameterError: saying that it does not.
        """
        if not self.has(form):
            raise self._unsupported(form)

    def _unsupported(self, form: str) -> ParameterError:
        reason = f' ({self.missing[form]})' if form in self.missing else ''
        return ParameterError(
            f"attention backend '{self.name}' has no {FORMS.get(form, form)}{reason}; "
            'choose another one'
        )

    def _check_mask(self, key_mask: Tensor | None, k: Tensor) -> None:
        if key_mask is None:
            return
        if not self.supports_key_mask:
            raise self._unsupported('key padding mask')
        expected = (k.shape[0], k.shape[-2])
        if key_mask.dtype != torch.bool or tuple(key_mask.shape) != expected:
            raise ParameterError(
                f"attention backend '{self.name}': key_mask is {key_mask.dtype} of shape "
                f'{tuple(key_mask.shape)}; expected bool of shape {expected}'
            )

    def _check_tokens(self, q: Tensor, k: Tensor, form: str) -> None:
        if q.shape[-2] != k.shape[-2]:
            raise ParameterError(
                f"attention backend '{self.name}': {q.shape[-2]} queries and {k.shape[-2]} keys; "
                f'the {FORMS[form]} needs as many of one as of the other'
            )


def masked_mean(x: Tensor, key_mask: Tensor | None) -> Tensor:
    """Return the mean over tokens of ``(B, H, N, D)`` as ``(B, H, 1, D)``, padding left out."""
    if key_mask is None:
        return x.mean(dim=-2, keepdim=True)
    weight = token_weight(key_mask, x)
    return (x * weight).sum(dim=-2, keepdim=True) / weight.sum(dim=-2, keepdim=True).clamp_min(1)


def token_weight(key_mask: Tensor, like: Tensor) -> Tensor:
    """Return ``(B, N)`` bool as ``(B, 1, N, 1)`` of ones and zeros."""
    return key_mask[:, None, :, None].to(like.dtype)
