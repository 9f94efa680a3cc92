"""Convert models of Hugging Face ``transformers`` through their attention interface."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import repeat_kv, sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from sara_ros.attention import AttentionBackend, create
from sara_ros.core import ParameterError
from sara_ros.uptraining.huggingface_layers import Layer, attention_layers
from sara_ros.uptraining.report import ConversionReport, LayerReport
from sara_ros.uptraining.visibility import Visibility, attend, read_mask

IMPLEMENTATION: Final = 'sara_ros'
"""Name under which the attention interface of ``transformers`` knows the converted layers."""

BACKEND: Final = 'attention_backend'
"""Submodule of a converted attention module; its parameters train and save with the model."""

_SCORE_OPTIONS: Final = ('softcap', 'position_bias', 's_aux', 'cache')


def convert_transformers(
    model: PreTrainedModel,
    backend: str,
    options: Mapping[str, Any] | None = None,
    layers: Sequence[int] | None = None,
) -> ConversionReport:
    """
    Give the attention layers of ``model`` a backend, in place.

    Padding, causal and prefix masks are honoured exactly; generation with past keys computes
    what the causal form computes. Grouped keys and values are repeated for every query head.
    Dropout on attention weights has nothing to act on: a converted layer raises
    :class:`ParameterError` when it trains with such dropout above zero. Layers that cannot be
    converted keep their exact attention, and the report says why.

    To read a converted model back, build it from its configuration, convert it in the same way
    (``config.sara_ros`` holds these arguments) and load the weights.

    :param options: of the backend; see :func:`sara_ros.attention.create`.
    :param layers: indices into the report's layers; ``None`` for all.
    :raises ParameterError: for a model that is not of ``transformers``, has no attention layers
        or is converted already, and for a wrong backend, option or layer index.
    """
    found = _layers_of(model)
    chosen = _chosen(layers, len(found))
    rows = [
        _convert(layer, backend, options or {}) if index in chosen else _left(layer, 'not chosen')
        for index, layer in enumerate(found)
    ]
    converted = [layer for layer, row in zip(found, rows, strict=True) if row.converted]
    for part in model.modules():
        if isinstance(part, PreTrainedModel) and any(part.config is c.config for c in converted):
            part.set_attn_implementation(IMPLEMENTATION)
    model.config.sara_ros = {
        'backend': backend,
        'options': dict(options or {}),
        'layers': [index for index, row in enumerate(rows) if row.converted],
    }
    return ConversionReport(backend, tuple(rows))


def _layers_of(model: PreTrainedModel) -> list[Layer]:
    if not isinstance(model, PreTrainedModel):
        raise ParameterError(
            f'model is a {type(model).__name__}; expected a PreTrainedModel of transformers'
        )
    for name, module in model.named_modules():
        if isinstance(module, AttentionBackend):
            place = name.removesuffix('.' + BACKEND)
            raise ParameterError(
                f"layer '{place}' has attention backend '{module.name}' already; convert the "
                'original model'
            )
    found = attention_layers(model)
    if not found:
        raise ParameterError(f'model {type(model).__name__} has no attention layers to convert')
    return found


def _chosen(layers: Sequence[int] | None, count: int) -> set[int]:
    wrong = [index for index in layers or () if not 0 <= index < count]
    if wrong:
        raise ParameterError(
            f'layers names layer {wrong[0]}; the model has {count}, 0 to {count - 1}'
        )
    return set(range(count)) if layers is None else set(layers)


def _left(layer: Layer, reason: str) -> LayerReport:
    return LayerReport(layer.name, 'softmax', 'softmax', False, reason)


def _convert(layer: Layer, backend: str, options: Mapping[str, Any]) -> LayerReport:
    if layer.obstacle:
        return _left(layer, layer.obstacle)
    made = create(backend, head_dim=layer.head_dim, heads=layer.heads, options=options)
    try:
        made.require('causal' if layer.causal else 'forward')
    except ParameterError as err:
        return _left(layer, str(err))
    weight = next(layer.module.parameters())
    made.to(device=weight.device, dtype=weight.dtype).train(layer.module.training)
    layer.module.add_module(BACKEND, made)
    notes = layer.notes(foldable=any(True for _ in made.parameters()))
    return LayerReport(layer.name, 'softmax', backend, True, '; '.join(notes))


def _attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    is_causal: bool | None = None,
    **options: Any,
) -> tuple[Tensor, None]:
    """Serve the attention interface: ``(B, H, N, D)`` in, ``(B, N, H, D)`` out."""
    backend = getattr(module, BACKEND, None)
    if backend is None:
        return sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout, scaling, is_causal, **options
        )
    _refuse(backend, dropout, options)
    causal = bool(getattr(module, 'is_causal', True) if is_causal is None else is_causal)
    groups = query.shape[1] // key.shape[1]
    if scaling is not None:
        query = query * (scaling * query.shape[-1] ** 0.5)  # backends divide by sqrt(D)
    seen = _seen(query, key, attention_mask, causal)
    mixed = attend(backend, query, repeat_kv(key, groups), repeat_kv(value, groups), seen)
    return mixed.transpose(1, 2).contiguous(), None


def _seen(query: Tensor, key: Tensor, mask: Tensor | None, causal: bool) -> Visibility:
    if mask is None:
        return Visibility(causal)
    # All layers of a call get the same mask; it is read once.
    known: tuple[bool, Visibility] | None = getattr(mask, '_sara_ros_seen', None)
    if known is None or known[0] != causal:
        known = (causal, read_mask(mask, causal=causal))
        mask._sara_ros_seen = known  # type: ignore[attr-defined]
    return known[1]


def _refuse(backend: AttentionBackend, dropout: float, options: Mapping[str, Any]) -> None:
    if dropout > 0:
        raise ParameterError(
            f"attention backend '{backend.name}' has no attention weights to drop; set the "
            f'attention dropout of the model ({dropout}) to 0 for training'
        )
    for name in _SCORE_OPTIONS:
        if options.get(name) is not None:
            raise ParameterError(
                f"attention backend '{backend.name}' has no scores for '{name}' to act on"
            )


def _mask(*, q_length: int, kv_length: int, **options: Any) -> Tensor | None:
    """Build the mask of torch's attention, left out only where there are no past keys."""
    skip = bool(options.pop('allow_is_causal_skip', True)) and q_length == kv_length
    mask: Tensor | None = sdpa_mask(
        q_length=q_length, kv_length=kv_length, allow_is_causal_skip=skip, **options
    )
    return mask


AttentionInterface.register(IMPLEMENTATION, _attention)
AttentionMaskInterface.register(IMPLEMENTATION, _mask)
