"""The replaceable attention layers of our networks, and which backend each of them has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final, NamedTuple, TypeAlias

from torch import nn

from sara_ros.attention import AttentionBackend, backend_class, create
from sara_ros.core import ParameterError
from sara_ros.policies.blocks import EncoderBlock
from sara_ros.policies.pct_network import OffsetAttention

AttentionLayer: TypeAlias = EncoderBlock | OffsetAttention
MIXED: Final = 'mixed'
"""Stands for the backend of a model whose layers are described one by one."""


class LayerChoice(NamedTuple):
    """The backend of one layer."""

    backend: str
    options: Mapping[str, Any]


SOFTMAX: Final = LayerChoice('softmax', {})


def attention_layers(network: nn.Module) -> dict[str, AttentionLayer]:
    """Return the layers with a replaceable backend by module name, in the order they run."""
    return {
        name: module
        for name, module in network.named_modules()
        if isinstance(module, (EncoderBlock, OffsetAttention))
    }


def fresh_attention(layer: AttentionLayer, choice: LayerChoice) -> AttentionBackend:
    """
    Build the backend of ``choice`` for the heads of ``layer``, with initial weights.

    :raises ParameterError: see :func:`sara_ros.attention.create`; also for a backend without the
        form that the layer needs.
    """
    heads = layer.heads if isinstance(layer, EncoderBlock) else 1
    projection = layer.out if isinstance(layer, EncoderBlock) else layer.shared
    width = projection.out_features
    made = create(choice.backend, head_dim=width // heads, heads=heads, options=choice.options)
    made.require('forward' if isinstance(layer, EncoderBlock) else 'offset')
    return made


def place_attention(network: nn.Module, attention: Mapping[str, Any]) -> None:
    """
    Give each layer the backend that ``attention`` of a spec states.

    :raises ParameterError: when the description does not fit the network.
    """
    layers = list(attention_layers(network).values())
    for layer, choice in zip(layers, layer_choices(attention, len(layers)), strict=True):
        layer.attention = fresh_attention(layer, choice)


def layer_choices(attention: Mapping[str, Any], count: int) -> list[LayerChoice]:
    """
    Return the backend of each of ``count`` layers.

    ``{'backend': name, 'options': {...}}`` is for all layers; with ``'layers': [0, 2]`` for those
    only, and the others have softmax; ``{'backend': 'mixed', 'per_layer': [{...}, ...]}`` states
    each layer by itself.

    :raises ParameterError: naming the field that is wrong.
    """
    if 'per_layer' in attention:
        rows = attention['per_layer']
        if not isinstance(rows, Sequence) or len(rows) != count:
            raise ParameterError(f'attention.per_layer must be a list of {count} layers')
        return [_choice(row, f'attention.per_layer[{i}]') for i, row in enumerate(rows)]
    choice = _choice(attention, 'attention')
    chosen = checked_layers(attention.get('layers', range(count)), count)
    return [choice if index in chosen else SOFTMAX for index in range(count)]


def checked_layers(layers: Any, count: int) -> tuple[int, ...]:
    """
    Return ``layers`` as indices in order.

    :raises ParameterError: for none, a repeated one, or one that is not there, listing the known.
    """
    known = ', '.join(str(index) for index in range(count)) or 'none'
    if not isinstance(layers, Sequence) or isinstance(layers, str) or not layers:
        raise ParameterError(f'attention layers are {layers!r}; give a list out of: {known}')
    for index in layers:
        if isinstance(index, bool) or not isinstance(index, int) or not 0 <= index < count:
            raise ParameterError(f'there is no attention layer {index!r}; known: {known}')
    if len(set(layers)) != len(layers):
        raise ParameterError(f'attention layers {list(layers)} repeat; name each once')
    return tuple(sorted(layers))


def describe_attention(choice: LayerChoice, layers: Sequence[int], count: int) -> dict[str, Any]:
    """Return ``attention`` of a spec: ``choice`` with all its options, in ``layers`` of all."""
    options: Any = getattr(backend_class(choice.backend), 'Options', None)
    # Written out, so that a default that changes later does not change the model.
    stated = asdict(options(**choice.options)) if options else {}
    described: dict[str, Any] = {'backend': choice.backend, 'options': stated}
    return described if len(layers) == count else {**described, 'layers': sorted(layers)}


def _choice(data: Any, place: str) -> LayerChoice:
    if not isinstance(data, Mapping) or not isinstance(data.get('backend', ''), str):
        raise ParameterError(f'{place} is {data!r:.80}; expected a backend and its options')
    options = data.get('options', {})
    if not isinstance(options, Mapping):
        raise ParameterError(f'{place}.options are {options!r:.80}; expected an object')
    return LayerChoice(str(data.get('backend', '')), dict(options))
