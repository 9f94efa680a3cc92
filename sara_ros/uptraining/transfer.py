"""Match each new attention layer to the softmax layer it stands for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
import copy
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from rich.progress import Progress
import torch
from torch import Tensor, nn

from sara_ros.attention import AttentionBackend
from sara_ros.core import ParameterError
from sara_ros.policies.attention_layers import attention_layers
from sara_ros.training.loop import Losses, run_loop
from sara_ros.training.optimiser import Optimiser, Recipe
from sara_ros.uptraining.convert import has_weights, learned
from sara_ros.uptraining.distributed import ALONE, Processes

Encode: TypeAlias = Callable[[nn.Module, np.random.Generator, int], object]
"""Runs a network's attention layers on a batch of the given size, drawn with the generator."""


class _Call(NamedTuple):
    form: str
    arguments: tuple[Tensor | None, ...]
    output: Tensor


class _Tap(AttentionBackend):
    """Passes calls on and keeps the last one: what the layer was given and what it returned."""

    def __init__(self, inner: AttentionBackend) -> None:
        super().__init__()
        self.inner = inner
        self.call: _Call | None = None

    def forward(self, q: Tensor, k: Tensor, v: Tensor, key_mask: Tensor | None = None) -> Tensor:
        return self._kept('forward', q, k, v, *(() if key_mask is None else (key_mask,)))

    def offset(self, q: Tensor, k: Tensor, v: Tensor, key_mask: Tensor | None = None) -> Tensor:
        return self._kept('offset', q, k, v, *(() if key_mask is None else (key_mask,)))

    def _kept(self, form: str, *arguments: Tensor) -> Tensor:
        output: Tensor = getattr(self.inner, form)(*arguments)
        self.call = _Call(form, arguments, output)
        return output


def transfer(
    student: nn.Module,
    teacher: nn.Module,
    encode: Encode,
    recipe: Recipe,
    folder: Path,
    *,
    settings: Mapping[str, Any] | None = None,
    save_every: int = 100,
    progress: Progress | None = None,
    here: Processes = ALONE,
) -> Optimiser | None:
    """
    Train the new attention layers of ``student``, and nothing else, to return what softmax does.

    The loss is the mean over converted layers of ``|y - y_softmax|^2 / |y_softmax|^2``, the mean
    squared error in shares of the size of what is matched, so that no layer outweighs another.
    Both see the activations of the softmax network, which runs once a batch: a layer need not
    make up for the errors of those before it (as in LoLCATs, Zhang et al. 2024, equation 6).
    ``student`` ends with the averaged weights. Stopped, it goes on from ``folder``.

    :param student: the converted network.
    :param teacher: the network it was converted from; it is copied, not changed.
    :param encode: takes the part of each batch that is this process's.
    :param here: the processes that share each batch, and the device of both networks. Only
        process 0 writes to ``folder``.
    :returns: ``None`` where the converted layers have no weights, and nothing is done.
    :raises ParameterError: for networks that do not differ, and as :func:`run_loop`.
    """
    new = _converted(student, teacher)
    modules = nn.ModuleList(layer for layer in new.values() if has_weights(layer))
    if not len(modules):
        return None
    taps = _tapped(copy.deepcopy(teacher).eval(), list(new))

    def losses(rng: np.random.Generator, batch: int) -> Losses:
        torch.manual_seed(int(rng.integers(2**31)))
        with torch.no_grad():
            encode(taps.network, rng, batch)
        errors = {name: _error(layer, taps.of[name].call, here) for name, layer in new.items()}
        return {'loss': torch.stack(list(errors.values())).mean(), **errors}

    with here.folder(folder) as work:
        optimiser = run_loop(
            modules, here.spread(losses, modules), recipe, work, settings=settings or {},
            save_every=save_every, progress=progress if here.is_main else None, title='transfer',
            writes=here.is_main,
        )  # fmt: skip
    modules.load_state_dict(optimiser.average)
    return optimiser


class _Taps(NamedTuple):
    network: nn.Module
    of: dict[str, _Tap]


def _tapped(network: nn.Module, names: list[str]) -> _Taps:
    taps = {}
    for name, layer in attention_layers(network).items():
        if name in names:
            taps[name] = _Tap(layer.attention)
            layer.attention = taps[name]
    return _Taps(network, taps)


def _converted(student: nn.Module, teacher: nn.Module) -> dict[str, AttentionBackend]:
    old = attention_layers(teacher)
    new = {
        name: learned(layer.attention)
        for name, layer in attention_layers(student).items()
        if name in old and layer.attention.name != old[name].attention.name
    }
    if not new:
        raise ParameterError('transfer: no layer of the student was converted; convert it first')
    return new


def _error(layer: AttentionBackend, call: _Call | None, here: Processes) -> Tensor:
    if call is None:
        raise ParameterError('transfer: encode did not run the attention layers of the teacher')
    seen: Tensor = getattr(layer, call.form)(*call.arguments)
    wanted = call.output.float()
    return (seen.float() - wanted).square().mean() / here.mean(wanted.square().mean()).clamp_min(
        1e-12
    )


__all__ = ['Encode', 'transfer']
