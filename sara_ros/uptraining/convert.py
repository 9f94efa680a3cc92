"""Give a trained softmax network another attention backend, in place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import copy
from typing import Any, Final, cast

import torch
from torch import nn

from sara_ros.attention import AttentionBackend
from sara_ros.attention.auto import Auto
from sara_ros.core import ParameterError
from sara_ros.policies.attention_layers import (
    SOFTMAX,
    AttentionLayer,
    LayerChoice,
    attention_layers,
    checked_layers,
    fresh_attention,
)
from sara_ros.policies.blocks import EncoderBlock
from sara_ros.uptraining.report import ConversionReport, LayerReport

_PROBE_TOKENS: Final = 5


def convert(
    model: nn.Module,
    backend: str,
    options: Mapping[str, Any] | None = None,
    layers: Sequence[int] | None = None,
) -> ConversionReport:
    """
    Replace softmax by ``backend`` in the attention layers of an RT-2 or PCT network.

    A model of Hugging Face ``transformers`` is converted as :func:`convert_transformers` says.

    The new layers have initial weights, drawn from torch's global generator. All of them are
    built and tried on a few tokens before the first one is placed, so an error leaves ``model``
    as it was. :func:`copy.deepcopy` it first where the softmax network is still needed.

    :param layers: indices out of :func:`attention_layers`; ``None`` for all.
    :raises ParameterError: for an unknown backend, option or layer; for a model that has no such
        layers or is already converted; for a backend without the form a layer needs.
    """
    if any(kind.__name__ == 'PreTrainedModel' for kind in type(model).__mro__):
        from sara_ros.uptraining.huggingface import convert_transformers

        return convert_transformers(cast('Any', model), backend, options, layers)
    known = attention_layers(model)
    if not known:
        raise ParameterError(
            f'a {type(model).__name__} has no attention layer to convert; known are RT2Network, '
            'PCTNetwork and the models of transformers'
        )
    for name, layer in known.items():
        if layer.attention.name != SOFTMAX.backend:
            raise ParameterError(
                f"layer '{name}' already has attention backend '{layer.attention.name}'; convert "
                'the softmax model that it came from'
            )
    chosen = range(len(known)) if layers is None else checked_layers(layers, len(known))
    choice = LayerChoice(backend, dict(options or {}))
    if backend == SOFTMAX.backend:
        raise ParameterError("backend is 'softmax', which the model already has; name another one")
    fresh = {
        name: _tried(name, layer, choice)
        for index, (name, layer) in enumerate(known.items())
        if index in chosen
    }
    for name, attention in fresh.items():
        known[name].attention = attention
    return ConversionReport(backend, tuple(_reported(name, fresh) for name in known))


def unconverted(model: nn.Module) -> ConversionReport:
    """Return the report of a model that keeps softmax: the control of those that do not."""
    layers = tuple(
        LayerReport(name, SOFTMAX.backend, SOFTMAX.backend, False, 'the softmax control')
        for name in attention_layers(model)
    )
    return ConversionReport(SOFTMAX.backend, layers)


def _reported(name: str, fresh: Mapping[str, AttentionBackend]) -> LayerReport:
    if name not in fresh:
        return LayerReport(name, SOFTMAX.backend, SOFTMAX.backend, False, 'not chosen')
    reason = '' if has_weights(fresh[name]) else 'has no weights to transfer'
    return LayerReport(name, SOFTMAX.backend, fresh[name].name, True, reason)


def has_weights(attention: nn.Module) -> bool:
    """Tell whether a backend has anything to learn."""
    return any(True for _ in attention.parameters())


def learned(attention: AttentionBackend) -> AttentionBackend:
    """Return the part of a backend that is trained: of ``auto`` the linear one it holds."""
    return attention.linear if isinstance(attention, Auto) else attention


def _tried(name: str, layer: AttentionLayer, choice: LayerChoice) -> AttentionBackend:
    """Build the backend and call the form the layer needs, on a copy that is thrown away."""
    heads, wide = _sizes(layer)
    q = torch.linspace(-1, 1, heads * _PROBE_TOKENS * wide).reshape(1, heads, _PROBE_TOKENS, wide)
    try:
        attention = fresh_attention(layer, choice)
        probe = copy.deepcopy(attention).eval()
        with torch.no_grad():
            seen = probe(q, q, q) if isinstance(layer, EncoderBlock) else probe.offset(q, q, q)
    except ParameterError as err:
        raise ParameterError(f"layer '{name}' cannot be converted: {err}") from err
    if seen.shape != q.shape or not bool(torch.isfinite(seen).all()):
        raise ParameterError(
            f"layer '{name}' cannot be converted: attention backend '{choice.backend}' returned "
            f'{tuple(seen.shape)} for {tuple(q.shape)}, or values that are not finite'
        )
    return attention


def _sizes(layer: AttentionLayer) -> tuple[int, int]:
    """Return the heads of a layer and the numbers of each query."""
    if isinstance(layer, EncoderBlock):
        return layer.heads, layer.out.in_features // layer.heads
    return 1, layer.shared.out_features


__all__ = ['convert', 'has_weights', 'learned', 'unconverted']
