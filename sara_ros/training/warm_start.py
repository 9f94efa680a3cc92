"""Begin a training with the weights of a model of another size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
import re
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from sara_ros.core import ParameterError
from sara_ros.policies import checkpoint as checkpoints
from sara_ros.policies.blocks import EncoderBlock
from sara_ros.policies.loading import build_network
from sara_ros.policies.rt2_config import RT2Config, View
from sara_ros.policies.rt2_network import RT2Network


@dataclass(frozen=True, slots=True)
class WarmStart:
    """
    What was taken from where.

    :param parent: ``model_id`` and ``sha256`` of the model.
    :param fresh: tensors that keep their initial values.
    """

    parent: Mapping[str, Any]
    fresh: tuple[str, ...]


def warm_start(network: nn.Module, models_dir: Path, model_id: str) -> WarmStart:
    """
    Give ``network`` the weights of a model, wherever it has any for it.

    Positions of image tokens are interpolated to another grid, words are found by their text.
    Layers over a history begin as the identity, so that a model of single frames goes on as it
    was.

    :raises CheckpointError: when the model cannot be read.
    :raises ParameterError: when it is of another kind or width.
    """
    stored = checkpoints.read(models_dir, model_id)
    source = build_network(stored.checkpoint)
    checkpoints.load_into(source, stored)
    if type(source) is not type(network):
        raise ParameterError(
            f"warm_start is '{model_id}', a {type(source).__name__}; this run trains a "
            f'{type(network).__name__}'
        )
    own, others = network.state_dict(), source.state_dict()
    ours, theirs = (getattr(module, 'config', None) for module in (network, source))
    if getattr(ours, 'width', 0) != getattr(theirs, 'width', 0):
        raise ParameterError(
            f"warm_start is '{model_id}' of another width than the network of this run"
        )
    found = {name: _fitting(name, value, others, ours, theirs) for name, value in own.items()}
    taken = {name: value for name, value in found.items() if value is not None}
    network.load_state_dict({**own, **taken})
    if isinstance(network, RT2Network) and isinstance(theirs, RT2Config) and theirs.history == 1:
        _pass_through(network)
    parent = {'model_id': model_id, 'sha256': stored.weights['sha256']}
    return WarmStart(parent, tuple(name for name in own if name not in taken))


def _fitting(
    name: str, own: Tensor, others: Mapping[str, Tensor], ours: Any, theirs: Any
) -> Tensor | None:
    """Return the other network's values for the tensor ``name``, in its shape."""
    if name == 'words.weight':
        return _words(own, others[name], ours.vocabulary, theirs.vocabulary)
    if isinstance(ours, RT2Config):
        stem = re.fullmatch(r'stems\.(\d+)\.(.*)', name)
        if stem:
            return _stem(int(stem[1]), stem[2], own, others, ours, theirs)
        if name == 'position':
            return _places(own, others[name], ours.prompt == theirs.prompt)
        coded = (ours.coding, ours.symbols) == (theirs.coding, theirs.symbols)
        if name.startswith(('tokens.', 'head.')) and not coded:
            return None
    other = others.get(name)
    return other if other is not None and other.shape == own.shape else None


def _words(
    own: Tensor, other: Tensor, ours: tuple[str, ...], theirs: tuple[str, ...]
) -> Tensor | None:
    if own.shape[1] != other.shape[1]:
        return None
    known = {word: index for index, word in enumerate(theirs)}
    rows = [other[known[w]] if w in known else own[i] for i, w in enumerate(ours)]
    return torch.stack(rows)


def _stem(
    index: int, rest: str, own: Tensor, others: Mapping[str, Tensor], ours: RT2Config,
    theirs: RT2Config,
) -> Tensor | None:  # fmt: skip
    """Find the view by its name; its tokens may be on another grid."""
    view = ours.views[index]
    names = [other.name for other in theirs.views]
    if view.name not in names:
        return None
    before = names.index(view.name)
    other = others.get(f'stems.{before}.{rest}')
    if other is not None and rest == 'position':
        return _positions(other, theirs.views[before], view)
    return other if other is not None and other.shape == own.shape else None


def _positions(position: Tensor, before: View, after: View) -> Tensor:
    """Return ``(1, N', C)`` for the grid of ``after``, bilinear between those of ``before``."""
    image = position.transpose(1, 2).unflatten(2, before.grid)  # (1, C, rows, columns)
    resized = interpolate(image, size=after.grid, mode='bilinear', align_corners=False)
    return resized.flatten(2).transpose(1, 2)


def _places(own: Tensor, other: Tensor, same_prompt: bool) -> Tensor | None:
    """Keep what both sequences have in common from the first token on."""
    if not same_prompt:
        return None
    shared = min(own.shape[2], other.shape[2])
    return torch.cat((other[:, :, :shared], own[:, :, shared:]), dim=2)


@torch.no_grad()
def _pass_through(network: RT2Network) -> None:
    """Let frames be told apart, and mixed, only as far as training finds it useful."""
    if network.config.history > 1:
        network.frame.zero_()
    for block in cast('list[EncoderBlock]', list(network.history_encoder)):
        for layer in (block.out, cast('nn.Linear', block.feed[-1])):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)


__all__ = ['WarmStart', 'warm_start']
