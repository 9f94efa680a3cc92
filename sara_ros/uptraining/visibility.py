"""Which tokens may see which: dense masks of other libraries in the terms that backends have."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

from sara_ros.attention import AttentionBackend
from sara_ros.core import ParameterError


class Visibility(NamedTuple):
    """
    The masks that linear attention can honour exactly.

    ``causal`` says that a query sees no later key; queries are the last tokens of the keys.
    ``real`` is ``(B, N)`` bool, false for padding keys; ``None`` where there are none.
    ``prefix`` is ``(B, N)`` bool: the tokens of one block that in spite of ``causal`` see each
    other in both directions, and all before (the prefix of PaliGemma, an image between words);
    ``None`` where there are none.
    """

    causal: bool
    real: Tensor | None = None
    prefix: Tensor | None = None


def read_mask(mask: Tensor, *, causal: bool) -> Visibility:
    """
    Return what a dense mask says.

    :param mask: ``(B, 1, Nq, N)``, bool (true where a key takes part) or added to the scores.
    :param causal: whether the layer is causal by itself, which tells a step with one query.
    :raises ParameterError: for anything but padding, causal and prefix masks: a sum over keys
        that all queries share cannot leave out other keys for each query.
    """
    keep = _keep(mask)
    real = keep.any(dim=-2)  # (B, N)
    for found in _candidates(keep, real, causal):
        if _says(found, keep, real):
            return found._replace(real=None if bool(real.all()) else real)
    raise ParameterError(
        f'attention mask of shape {tuple(mask.shape)} is neither padding, causal nor prefix; '
        'linear attention cannot honour it: leave this layer out of the conversion with layers'
    )


def _candidates(keep: Tensor, real: Tensor, causal: bool) -> list[Visibility]:
    queries, keys = keep.shape[-2:]
    if queries == keys:
        ahead = (keep & real[:, :, None]).triu(1)
        prefix = (ahead.any(dim=-1) | ahead.any(dim=-2)) & real
        return [Visibility(False), Visibility(True), Visibility(True, prefix=prefix)]
    if causal and queries < keys and not bool(real[:, -queries:].all()):
        raise ParameterError(
            'the newest keys of the cache are masked, as in a static cache; generate with '
            'cache_implementation dynamic'
        )
    return [Visibility(causal and queries < keys)]


def _says(seen: Visibility, keep: Tensor, real: Tensor) -> bool:
    """Return whether the dense mask of ``seen`` is ``keep`` in all rows of real queries."""
    queries, keys = keep.shape[-2:]
    allowed = torch.ones_like(keep)
    if seen.causal:
        allowed = allowed.tril(keys - queries)
    if seen.prefix is not None:
        allowed |= seen.prefix[:, :, None] & _up_to_the_last(seen.prefix)[:, None]
    same = ((allowed & real[:, None]) == keep).all(dim=-1)  # (B, Nq)
    # Rows of padding may say anything: nothing reads their result.
    return bool((same | ~real).all() if queries == keys else same.all())


def attend(backend: AttentionBackend, q: Tensor, k: Tensor, v: Tensor, seen: Visibility) -> Tensor:
    """
    Run the forms of ``backend`` that ``seen`` asks for; rows of padding queries mean nothing.

    Causal attention under padding is exact for every backend: padding is sorted behind the real
    tokens, whose order stays, and no real query sees what is behind it.

    :param q: ``(B, H, Nq, D)``; causal with ``Nq < N`` continues after past keys.
    """
    if not seen.causal:
        everywhere: Tensor = backend(q, k, v, seen.real)
        return everywhere
    late = k.shape[-2] - q.shape[-2]
    mixed = _causal(backend, pad(q, (0, 0, late, 0)), k, v, seen.real)[..., late:, :]
    if seen.prefix is None:
        return mixed
    keys = _up_to_the_last(seen.prefix)
    both = backend(q, k, v, keys if seen.real is None else keys & seen.real)
    return torch.where(seen.prefix[:, None, :, None], both, mixed)


def _up_to_the_last(prefix: Tensor) -> Tensor:
    """Return ``(B, N)`` bool: tokens of the block and before it."""
    return prefix.flip(-1).cumsum(dim=-1).flip(-1) > 0


def _causal(
    backend: AttentionBackend, q: Tensor, k: Tensor, v: Tensor, real: Tensor | None
) -> Tensor:
    if real is None:
        return backend.causal(q, k, v)
    order = real.logical_not().int().argsort(dim=-1, stable=True)  # (B, N), real tokens first
    mixed = backend.causal(*(_taken(x, order) for x in (q, k, v)))
    return _taken(mixed, order.argsort(dim=-1))


def _taken(x: Tensor, order: Tensor) -> Tensor:
    index = order[:, None, :, None].expand(-1, x.shape[1], -1, x.shape[-1])
    return x.gather(-2, index)


def _keep(mask: Tensor) -> Tensor:
    """Return ``(B, Nq, N)`` bool."""
    if mask.ndim != 4 or (mask.shape[1] > 1 and bool((mask != mask[:, :1]).any())):
        raise ParameterError(
            f'attention mask of shape {tuple(mask.shape)} is not the same for every head; '
            'linear attention takes (B, 1, Nq, N)'
        )
    mask = mask[:, 0]
    if mask.dtype == torch.bool:
        return mask
    keep = mask == 0
    if not bool((keep | (mask <= torch.finfo(mask.dtype).min / 2)).all()):
        raise ParameterError(
            'attention mask adds a bias to the scores; linear attention has no scores to add it to'
        )
    return keep
