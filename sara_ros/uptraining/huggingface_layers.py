"""Find the attention layers of a ``transformers`` model and what stands in a conversion's way."""

from __future__ import annotations

from dataclasses import dataclass
import inspect
from typing import Any, Final

from torch import nn

_DROPOUTS: Final = ('attention_dropout', 'dropout_prob', 'attn_dropout', 'dropout')
_CROSS: Final = ('cross', 'encoder_attn', 'encdec')
_WINDOWED: Final = ('sliding_attention', 'chunked_attention')


@dataclass(frozen=True, slots=True)
class Layer:
    """
    One attention module.

    :param obstacle: why it cannot be converted to any backend; empty when it can.
    """

    name: str
    module: nn.Module
    obstacle: str

    @property
    def config(self) -> Any:
        """The configuration that the module reads its attention implementation from."""
        return getattr(self.module, 'config', None)

    @property
    def heads(self) -> int:
        """Number of query heads; 0 when the module does not say."""
        return _number(self.module, 'num_heads', 'num_attention_heads') or _number(
            self.config, 'num_attention_heads'
        )

    @property
    def head_dim(self) -> int:
        """Size of a head; 0 when the module does not say."""
        return _number(self.module, 'head_dim', 'attention_head_size')

    @property
    def causal(self) -> bool:
        """Whether a query sees no later key."""
        return bool(getattr(self.module, 'is_causal', False))

    def notes(self, *, foldable: bool) -> list[str]:
        """Return what to know about the layer once it is converted."""
        notes = []
        if foldable and _has_rotary(self.module):
            notes.append(
                'RoPE between projection and map: positions count absolutely in it, and '
                'it cannot be folded'
            )
        if foldable and hasattr(self.module, 'q_norm'):
            notes.append('a norm between projection and map: the map cannot be folded')
        if (groups := _number(self.module, 'num_key_value_groups')) > 1:
            notes.append(f'keys and values repeated for {groups} query heads each')
        if (share := _dropout(self.module)) > 0:
            notes.append(
                f'no attention weights to drop: set the dropout of {share:g} to 0 to train'
            )
        return notes


def attention_layers(model: nn.Module) -> list[Layer]:
    """Return the innermost modules whose class is called some kind of attention, in order."""
    found = [(name, module) for name, module in model.named_modules() if _is_attention(module)]
    outer = {name for name, _ in found for other, _ in found if other.startswith(name + '.')}
    return [
        Layer(name, module, _obstacle(name, module)) for name, module in found if name not in outer
    ]


def _is_attention(module: nn.Module) -> bool:
    return 'Attention' in type(module).__name__


def _obstacle(name: str, module: nn.Module) -> str:
    layer = Layer(name, module, '')
    if 'get_interface(' not in _source(module):
        return f'{type(module).__name__} does not use the attention interface of transformers'
    if not (layer.heads and layer.head_dim):
        return f'{type(module).__name__} does not state its number and size of heads'
    if getattr(module, 'is_cross_attention', False) or _named_cross(name):
        return 'cross attention: keys come from another sequence'
    if _is_windowed(module, layer.config):
        return 'sliding window mask'
    if _number(module, 'attn_logit_softcapping') or hasattr(module, 'sinks'):
        return 'softcap or sink on the scores, which linear attention does not have'
    return ''


def _named_cross(name: str) -> bool:
    last = name.rpartition('.')[2].lower()
    return any(part in last for part in _CROSS)


def _is_windowed(module: nn.Module, config: Any) -> bool:
    if hasattr(module, 'sliding_window'):
        return module.sliding_window is not None
    kinds, index = getattr(config, 'layer_types', None), getattr(module, 'layer_idx', None)
    if kinds and index is not None:
        return kinds[index] in _WINDOWED
    return getattr(config, 'sliding_window', None) is not None


def _has_rotary(module: nn.Module) -> bool:
    return 'apply_rotary' in _source(module)


def _source(module: nn.Module) -> str:
    try:
        return inspect.getsource(type(module).forward)
    except (OSError, TypeError):
        return ''


def _dropout(module: nn.Module) -> float:
    for name in _DROPOUTS:
        value = getattr(module, name, None)
        value = value.p if isinstance(value, nn.Dropout) else value
        if isinstance(value, float):
            return value
    return 0.0


def _number(place: Any, *names: str) -> int:
    values = (getattr(place, name, None) for name in names)
    return next((int(value) for value in values if value), 0)
