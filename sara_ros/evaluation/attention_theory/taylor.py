"""The first-order Taylor backend: its identities, and where its weights are negative."""

from __future__ import annotations

from collections.abc import Sequence
import math
from typing import Any

import torch
from torch import Tensor

from sara_ros.attention import create
from sara_ros.evaluation.attention_theory.activations import Activation


def taylor_weights(q: Tensor, k: Tensor, *, pct: bool = False) -> Tensor:
    """
    Return the weights ``(B, H, Nq, N)`` that the backend gives, read off values of one.

    :param pct: those of PCT's form, whose rows are outputs and whose columns are queries.
    """
    made = create('taylor', head_dim=q.shape[-1], heads=q.shape[1])
    tokens = q.shape[-2] if pct else k.shape[-2]
    ones = torch.eye(tokens, dtype=q.dtype).expand(*q.shape[:2], -1, -1)
    weights: Tensor = made.offset(q, k, ones) if pct else made(q, k, ones)
    return weights


def taylor_scores(q: Tensor, k: Tensor, *, pct: bool = False) -> Tensor:
    """Return the ``x`` of ``1 + x``: centred scores ``(B, H, Nq, N)``, keys first for PCT."""
    centred = k - k.mean(dim=-2, keepdim=True)
    if pct:
        queries = q - q.mean(dim=-2, keepdim=True)
        return torch.matmul(centred, queries.transpose(-2, -1))
    return torch.matmul(q * float(q.shape[-1]) ** -0.5, centred.transpose(-2, -1))


def identity_errors(q: Tensor, k: Tensor) -> dict[str, float]:
    """
    Return by how much the identities behind the constant denominator are missed.

    Centred keys sum to zero, so the weights of each row sum to one (Dass et al. 2023, equation
    4); softmax does not change when all keys are shifted alike.
    """
    centred = k - k.mean(dim=-2, keepdim=True)
    softmax = create('softmax', head_dim=q.shape[-1], heads=q.shape[1])
    ones = torch.eye(k.shape[-2], dtype=q.dtype).expand(*q.shape[:2], -1, -1)
    moved = softmax(q, k, ones) - softmax(q, centred, ones)
    errors = {
        'sum of centred keys': centred.sum(dim=-2),
        'sum of the weights of a row': taylor_weights(q, k).sum(dim=-1) - 1,
        'sum of the weights of a row, PCT form': taylor_weights(q, k, pct=True).sum(dim=-1) - 1,
        'softmax after centring the keys': moved,
    }
    return {name: float(error.abs().max()) for name, error in errors.items()}


def negative_share(q: Tensor, k: Tensor, *, pct: bool = False) -> dict[str, float]:
    """Return the share of negative weights, and how far the ``x`` of ``1 + x`` leaves [-1, 1]."""
    weights, x = taylor_weights(q, k, pct=pct), taylor_scores(q, k, pct=pct).abs()
    ordered = x.flatten().sort().values
    return {
        'negative': float((weights < 0).float().mean()),
        'outside': float((x > 1).float().mean()),
        'median': float(ordered[len(ordered) // 2]),
        'p99': float(ordered[int(0.99 * (len(ordered) - 1))]),
        'max': float(ordered[-1]),
    }


def random_shares(spreads: Sequence[float], *, tokens: int, head_dim: int) -> list[dict[str, Any]]:
    """
    Return :func:`negative_share` of normal queries and keys whose scores have these deviations.

    ``expected`` is the share for scores that are normal themselves, ``Phi(-1 / deviation)``.
    """
    generator = torch.Generator().manual_seed(0)
    q, k = torch.randn(2, 1, 6, tokens, head_dim, generator=generator)
    return [
        {
            'deviation': spread,
            'expected': 0.5 * math.erfc(1 / (spread * math.sqrt(2))),
            **negative_share(q * spread, k),
        }
        for spread in spreads
    ]


def activation_shares(activations: Sequence[Activation]) -> list[dict[str, Any]]:
    """Return :func:`negative_share` of each layer of each model, over all that was recorded."""
    rows = []
    for layer in dict.fromkeys((seen.model_id, seen.layer) for seen in activations):
        some = [seen for seen in activations if (seen.model_id, seen.layer) == layer]
        q, k = (torch.cat([getattr(seen, name) for seen in some]) for name in ('q', 'k'))
        pct = some[0].form == 'offset'
        rows.append(
            {
                'model': layer[0], 'layer': layer[1], 'form': some[0].form,
                'trained_with': some[0].backend, 'tokens': k.shape[-2], 'head_dim': k.shape[-1],
                'observations': len(q), **negative_share(q, k, pct=pct),
            }
        )  # fmt: skip
    return rows
