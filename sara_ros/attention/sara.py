"""SARA: linear attention with learned feature maps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

import torch
from torch import Tensor, nn

from sara_ros.attention.backend import AttentionBackend
from sara_ros.attention.feature_map import linear_attention, linear_offset_attention
from sara_ros.core import ParameterError

FUNCTIONS: Final = ('relu', 'exp', 'square')
INITIALISATIONS: Final = ('identity', 'random')


@dataclass(frozen=True, slots=True)
class SaraOptions:
    """
    Options of :class:`Sara`.

    :param function: ``relu``, ``exp`` or ``square``, applied to each feature.
    :param features: number of features a head; 0 for as many as the head has dimensions.
    :param initialisation: ``identity`` (features must be 0 or the head size) or ``random``
        (standard normal rows, as for random features of the softmax kernel).
    """

    function: str = 'relu'
    features: int = 0
    initialisation: str = 'identity'

    def __post_init__(self) -> None:
        """Check the values."""
        for name, known in (('function', FUNCTIONS), ('initialisation', INITIALISATIONS)):
            value = getattr(self, name)
            if value not in known:
                raise ParameterError(
                    f"attention backend 'sara': {name} is {value!r}; known: {', '.join(known)}"
                )
        if isinstance(self.features, bool) or not isinstance(self.features, int):
            raise ParameterError(
                f"attention backend 'sara': features is {self.features!r}; must be a whole number"
            )
        if self.features < 0:
            raise ParameterError(
                f"attention backend 'sara': features is {self.features}; must be at least 1, or "
                '0 for the head size'
            )


class Sara(AttentionBackend):
    """
    ``phi(x) = v * f(G x)`` with its own ``G`` and ``v`` for queries and keys.

    SARA-RT (Leal et al. 2023), equations 3 and 4; ``v`` starts at one. Each head has its own
    map. Inputs are scaled by ``D^-1/4`` so that ``q.k`` carries the usual ``1 / sqrt(D)``.
    """

    name: ClassVar[str] = 'sara'
    serves_any_checkpoint: ClassVar[bool] = True
    supports_key_mask: ClassVar[bool] = True
    Options = SaraOptions

    def __init__(self, *, head_dim: int, heads: int, options: SaraOptions) -> None:
        """Build both maps; see :class:`SaraOptions`."""
        super().__init__()
        features = options.features or head_dim
        self.function = options.function
        self.q_map = nn.Parameter(_initial_map(heads, features, head_dim, options))
        self.k_map = nn.Parameter(_initial_map(heads, features, head_dim, options))
        self.q_scale = nn.Parameter(torch.ones(heads, 1, features))
        self.k_scale = nn.Parameter(torch.ones(heads, 1, features))

    def forward(self, q: Tensor, k: Tensor, v: Tensor, key_mask: Tensor | None = None) -> Tensor:
        """See :meth:`AttentionBackend.forward`."""
        self._check_mask(key_mask, k)
        phi_k = self.phi_k(k, key_mask)
        return linear_attention(self.phi_q(q), phi_k, v)

    def offset(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """See :meth:`AttentionBackend.offset`."""
        return linear_offset_attention(self.phi_q(q), self.phi_k(k), v)

    def phi_q(self, q: Tensor) -> Tensor:
        """Map queries ``(B, H, N, D)`` to features ``(B, H, N, M)``."""
        # A factor common to the features of one query cancels in the quotient.
        return self.q_scale * self._activate(_project(q, self.q_map), dims=(-1,))

    def phi_k(self, k: Tensor, key_mask: Tensor | None = None) -> Tensor:
        """Map keys ``(B, H, N, D)`` to features ``(B, H, N, M)``, zero where masked."""
        # A factor cancels for keys only when all keys of a head share it.
        phi = self.k_scale * self._activate(_project(k, self.k_map), dims=(-2, -1))
        return phi if key_mask is None else phi * key_mask[:, None, :, None]

    def _activate(self, x: Tensor, dims: tuple[int, ...]) -> Tensor:
        if self.function == 'relu':
            return x.relu()
        if self.function == 'square':
            return x.square()
        return (x - x.detach().amax(dim=dims, keepdim=True)).exp()


def _project(x: Tensor, matrix: Tensor) -> Tensor:
    scale = float(x.shape[-1]) ** -0.25
    projected: Tensor = (x * scale) @ matrix.transpose(-2, -1)  # (B, H, N, M)
    return projected


def _initial_map(heads: int, features: int, head_dim: int, options: SaraOptions) -> Tensor:
    if options.initialisation == 'random':
        return torch.randn(heads, features, head_dim)
    if features != head_dim:
        raise ParameterError(
            f"attention backend 'sara': features is {features} but the head size {head_dim}; "
            "an identity needs them equal, set initialisation to 'random'"
        )
    return torch.eye(head_dim).repeat(heads, 1, 1)
