"""The seam that every attention backend fits in."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from sara_ros.core import ParameterError


class AttentionBackend(nn.Module):
    """
    Mix values over tokens, given queries and keys that are already split into heads.

    Tensors are ``(B, H, N, D)``; queries may have another number of tokens than keys and values.
    A backend implements the forms it has; the others raise :class:`ParameterError`, so that a
    model which needs one says so when it is built or first run, and never computes another
    function in silence.

    ``name`` is the registry name; ``serves_any_checkpoint`` says whether the backend with its
    default options is determined without trained weights, so that it can replace another one in
    a finished checkpoint (which says nothing about the quality of the result).
    """

    name: ClassVar[str] = ''
    serves_any_checkpoint: ClassVar[bool] = False
    supports_key_mask: ClassVar[bool] = False

    def forward(self, q: Tensor, k: Tensor, v: Tensor, key_mask: Tensor | None = None) -> Tensor:
        """
        Attend in both directions.

        :param key_mask: ``(B, N)`` bool, true where a key takes part; ``None`` for all.
        :returns: ``(B, H, Nq, Dv)``.
        """
        raise self._unsupported('bidirectional form')

    def offset(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """
        Attend as PCT's offset attention does (Guo et al. 2021, equation 6 and its text).

        Rows are normalised over keys, then columns over queries, and values are summed over the
        *query* axis: ``out_j = sum_i A_ij v_i / sum_i A_ij``. PCT passes the same tensor as ``q``
        and ``k`` and does not divide by ``sqrt(D)``.
        """
        raise self._unsupported('double-normalised (PCT) form')

    def causal(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Attend to the own token and earlier ones only; as many queries as keys."""
        raise self._unsupported('causal form')

    def _unsupported(self, form: str) -> ParameterError:
        return ParameterError(f"attention backend '{self.name}' has no {form}; choose another one")

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


def masked_mean(x: Tensor, key_mask: Tensor | None) -> Tensor:
    """Return the mean over tokens of ``(B, H, N, D)`` as ``(B, H, 1, D)``, padding left out."""
    if key_mask is None:
        return x.mean(dim=-2, keepdim=True)
    weight = key_mask[:, None, :, None].to(x.dtype)  # (B, 1, N, 1)
    return (x * weight).sum(dim=-2, keepdim=True) / weight.sum(dim=-2, keepdim=True).clamp_min(1)
