"""The readable function that a backend computes, and its form for inference."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from torch import Tensor

from sara_ros.attention import AttentionBackend, naive, naive_maps, worth_folding
from sara_ros.attention.feature_map import Features
from sara_ros.attention.hedgehog import Hedgehog
from sara_ros.attention.linear_map import LinearMap
from sara_ros.attention.performer import Performer
from sara_ros.attention.sara import FoldedSara, Sara
from sara_ros.attention.window_linear import WindowLinear

Reference = Callable[[Tensor, Tensor, Tensor], Tensor]
Map = Callable[[Tensor], Tensor]


def reference(backend: AttentionBackend, form: str = '') -> Reference | None:
    """
    Return the quadratic fp32 function of a backend's form, None where there is none.

    :param form: '' for the bidirectional form, ``_offset`` for PCT's.
    """
    if isinstance(backend, WindowLinear):
        if form:
            return None
        factor = backend.log_factor.float().exp()
        maps = _maps(backend.linear, form)
        return partial(naive.joint_window, window=backend.window, factor=factor, **maps)
    if isinstance(backend, LinearMap):
        return partial(getattr(naive, 'feature_map' + form), **_maps(backend, form))
    found: Reference | None = getattr(naive, backend.name + form, None)
    return found


def dense(features: Features) -> Tensor:
    """Return features ``(B, H, N, M)`` as plain numbers."""
    return features.values if features.log is None else features.values * features.log.exp()


def folded(backend: AttentionBackend) -> AttentionBackend | None:
    """
    Return what remains of a backend when its map is folded into the projections before it.

    It takes mapped queries and keys; with as many features as dimensions they have their shape.
    """
    if not isinstance(backend, Sara) or not worth_folding(backend):
        return None
    if backend.q_map.shape[-2] == backend.q_map.shape[-1]:
        return FoldedSara(backend.function)
    return None


def _maps(backend: LinearMap, form: str) -> dict[str, Any]:
    return {'phi_q': _map(backend, 'q', form), 'phi_k': _map(backend, 'k', form)}


def _map(backend: LinearMap, side: str, form: str) -> Map:
    if isinstance(backend, Performer):
        # PCT does not divide by sqrt(D), and the kernel that is estimated is softmax's there.
        kernel = naive_maps.softmax_kernel if form == '_offset' else naive_maps.performer
        return partial(kernel, projection=backend.projection)
    if isinstance(backend, Hedgehog):
        return partial(naive_maps.hedgehog, matrix=getattr(backend, f'{side}_map'))
    if isinstance(backend, Sara):
        matrix, scale = getattr(backend, f'{side}_map'), getattr(backend, f'{side}_scale')
        return partial(
            naive_maps.sara, matrix=matrix, scale=scale.float(), function=backend.function
        )
    return lambda x: dense((backend.map_queries if side == 'q' else backend.map_keys)(x.float()))
