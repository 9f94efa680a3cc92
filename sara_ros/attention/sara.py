"""SARA: linear attention with learned feature maps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

import torch
from torch import Tensor, nn

from sara_ros.attention.feature_map import Features, exponential
from sara_ros.attention.linear_map import LinearMap
from sara_ros.attention.options import check_choice, check_features
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
        check_choice('sara', 'function', self.function, FUNCTIONS)
        check_choice('sara', 'initialisation', self.initialisation, INITIALISATIONS)
        check_features('sara', self.features, 'the head size')


class Sara(LinearMap):
    """
    ``phi(x) = v * f(G x)`` with its own ``G`` and ``v`` for queries and keys.

    SARA-RT (Leal et al. 2023), equations 3 and 4; ``v`` starts at one. Each head has its own
    map. Inputs are scaled by ``D^-1/4`` so that ``q.k`` carries the usual ``1 / sqrt(D)``.
    :func:`sara_ros.attention.fold` takes all but ``f`` into the projections before.
    """

    name: ClassVar[str] = 'sara'
    serves_any_checkpoint: ClassVar[bool] = True
    Options = SaraOptions

    def __init__(self, *, head_dim: int, heads: int, options: SaraOptions) -> None:
        """Build both maps; see :class:`SaraOptions`."""
        super().__init__()
        features = options.features or head_dim
        self.function = options.function
        self.q_map = nn.Parameter(_initial_map(heads, features, head_dim, options))
        # Equal at first: only then do random exp features estimate the softmax kernel.
        self.k_map = nn.Parameter(self.q_map.detach().clone())
        self.q_scale = nn.Parameter(torch.ones(heads, 1, features))
        self.k_scale = nn.Parameter(torch.ones(heads, 1, features))

    def map_queries(self, q: Tensor) -> Features:
        """See :meth:`LinearMap.map_queries`."""
        return self._map(q, self.q_map, self.q_scale)

    def map_keys(self, k: Tensor) -> Features:
        """See :meth:`LinearMap.map_keys`."""
        return self._map(k, self.k_map, self.k_scale)

    def _map(self, x: Tensor, matrix: Tensor, scale: Tensor) -> Features:
        scaled = matrix * float(x.shape[-1]) ** -0.25  # cheaper than scaling the tokens
        projected = x @ scaled.transpose(-2, -1)  # (B, H, N, M)
        features = activate(self.function, projected)
        return features._replace(values=scale * features.values)


class FoldedSara(LinearMap):
    """:class:`Sara` whose queries and keys come from folded projections: ``phi(x) = f(x)``."""

    name: ClassVar[str] = 'sara'

    def __init__(self, function: str) -> None:
        """Apply ``function`` of :data:`FUNCTIONS`."""
        super().__init__()
        self.function = function

    def map_queries(self, q: Tensor) -> Features:
        """See :meth:`LinearMap.map_queries`; ``q`` is ``(B, H, N, M)``."""
        return activate(self.function, q)

    def map_keys(self, k: Tensor) -> Features:
        """See :meth:`LinearMap.map_keys`; ``k`` is ``(B, H, N, M)``."""
        return activate(self.function, k)


def activate(function: str, x: Tensor) -> Features:
    """Return ``f(x)`` of ``(B, H, N, M)`` for one of :data:`FUNCTIONS`."""
    if function == 'relu':
        return Features(x.relu())
    if function == 'square':
        return Features(x.square())
    return exponential(x)


def _initial_map(heads: int, features: int, head_dim: int, options: SaraOptions) -> Tensor:
    if options.initialisation == 'random':
        return torch.randn(heads, features, head_dim)
    if features != head_dim:
        raise ParameterError(
            f"attention backend 'sara': features is {features} but the head size {head_dim}; "
            "an identity needs them equal, set initialisation to 'random'"
        )
    return torch.eye(head_dim).repeat(heads, 1, 1)
