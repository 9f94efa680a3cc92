"""Low-rank updates in the place of weights, and back to the same layers when trained."""

from __future__ import annotations

import re

from peft import LoraConfig, inject_adapter_in_model
from peft.tuners.lora import LoraLayer
from torch import nn

from sara_ros.attention import AttentionBackend
from sara_ros.core import ParameterError


def add(network: nn.Module, rank: int, alpha: float | None = None) -> nn.Module:
    """
    Give each linear layer of ``network`` a low-rank update and freeze what it had, in place.

    A layer becomes ``W x + (alpha / rank) B A x`` with ``B`` zero at first (LoRA, Hu et al. 2021,
    equation 3), so that nothing changes before training. Weights of attention backends are small
    and new: they stay as they are and train. Initial values of ``A`` come from torch's generator.

    :param rank: rows of ``A``.
    :param alpha: numerator of the update's scale; ``None`` for ``rank``, which is a scale of 1.
    :returns: ``network``.
    :raises ParameterError: for a rank or alpha that cannot be used, and for a network without
        linear layers or with updates already.
    """
    _check(rank, alpha)
    if _updates(network):
        raise ParameterError('lora: the network has low-rank updates already; merge them first')
    names = _linear_layers(network)
    if not names:
        raise ParameterError(f'lora: {type(network).__name__} has no linear layers to update')
    config = LoraConfig(
        r=rank,
        lora_alpha=rank if alpha is None else alpha,  # type: ignore[arg-type]
        target_modules='|'.join(re.escape(name) for name in names),
    )
    inject_adapter_in_model(config, network)
    for backend in _backends(network):
        backend.requires_grad_(True)
    return network


def merge(network: nn.Module) -> nn.Module:
    """
    Add each update to the weight it belongs to; the network has its original layers again.

    Parameters have their names from before :func:`add`, and all of them train again.

    :returns: ``network``.
    :raises ParameterError: when there is nothing to merge.
    """
    updates = _updates(network)
    if not updates:
        raise ParameterError('lora: the network has no low-rank updates to merge')
    for name, update in updates.items():
        update.merge()
        network.set_submodule(name, update.get_base_layer())
    return network.requires_grad_(True)


def _check(rank: int, alpha: float | None) -> None:
    if isinstance(rank, bool) or not isinstance(rank, int) or rank < 1:
        raise ParameterError(f'lora: rank is {rank!r}; must be a whole number of at least 1')
    if alpha is not None and not 0 < alpha < float('inf'):
        raise ParameterError(f'lora: alpha is {alpha!r}; must be above 0')


def _updates(network: nn.Module) -> dict[str, LoraLayer]:
    return {name: part for name, part in network.named_modules() if isinstance(part, LoraLayer)}


def _backends(network: nn.Module) -> list[AttentionBackend]:
    return [part for part in network.modules() if isinstance(part, AttentionBackend)]


def _linear_layers(network: nn.Module) -> list[str]:
    inside = {id(part) for backend in _backends(network) for part in backend.modules()}
    # Subclasses are used by their owner's weight, not called: an update would do nothing.
    return [
        name
        for name, part in network.named_modules()
        if type(part) is nn.Linear and id(part) not in inside
    ]
