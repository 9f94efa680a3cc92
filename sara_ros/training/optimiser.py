"""AdamW with a cosine schedule and averaged weights, whose whole state is plain tensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
import math
from typing import Any, Final

import torch
from torch import Tensor, nn

from sara_ros.core import ParameterError
from sara_ros.training.counts import check_counts

LAST_SEED: Final = (1 << 32) - 1


@dataclass(frozen=True, slots=True)
class Recipe:
    """
    How to train.

    :param steps: optimiser steps of the whole run; the learning rate ends at zero.
    :param restarts: steps at which it had come to zero before and rises again, to half of what it
        was (warm restarts, Loshchilov and Hutter 2017).
    :param ema: share of the averaged weights kept at each step.
    """

    steps: int
    batch: int = 32
    learning_rate: float = 1e-3
    warm_up_steps: int = 100
    weight_decay: float = 0.02
    betas: tuple[float, float] = (0.9, 0.98)
    clip: float = 1.0
    ema: float = 0.998
    seed: int = 0
    restarts: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        """Check the counts and the seed."""
        check_counts(self, 'steps', 'batch', 'warm_up_steps')
        if not 0 <= self.seed <= LAST_SEED:
            raise ParameterError(f'seed is {self.seed}; must be from 0 to {LAST_SEED}')

    def rate_at(self, step: int) -> float:
        """Return the learning rate of ``step``."""
        begin = max((0, *(restart for restart in self.restarts if restart <= step)))
        end = min((self.steps, *(restart for restart in self.restarts if restart > step)))
        peak = self.learning_rate * (0.5 if begin else 1.0)
        warm = min(1.0, (step - begin + 1) / self.warm_up_steps)
        done = (step - begin) / (end - begin)
        return peak * warm * 0.5 * (1 + math.cos(math.pi * done))


class Optimiser:
    """Updates a module and keeps the exponential average of its weights and buffers."""

    def __init__(self, module: nn.Module, recipe: Recipe) -> None:
        """Begin at step 0 with the module's weights."""
        self.module = module
        self.recipe = recipe
        self.step = 0
        flat = [p for p in module.parameters() if p.ndim < 2]
        wide = [p for p in module.parameters() if p.ndim >= 2]
        groups: list[dict[str, Any]] = [{'params': wide}, {'params': flat, 'weight_decay': 0.0}]
        self._adam = torch.optim.AdamW(
            groups, recipe.learning_rate, recipe.betas, weight_decay=recipe.weight_decay
        )
        self.average = {name: value.clone() for name, value in module.state_dict().items()}

    def update(self, loss: Tensor) -> None:
        """Take one step down the gradient of ``loss``."""
        for group in self._adam.param_groups:
            group['lr'] = self.recipe.rate_at(self.step)
        self._adam.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.module.parameters(), self.recipe.clip)
        self._adam.step()
        self.step += 1
        self._follow()

    @torch.no_grad()
    def _follow(self) -> None:
        # Early weights are poor: the average forgets faster in the beginning.
        keep = min(self.recipe.ema, (1 + self.step) / (10 + self.step))
        for name, value in self.module.state_dict().items():
            if value.is_floating_point():
                self.average[name].lerp_(value, 1 - keep)
            else:
                self.average[name].copy_(value)

    def tensors(self) -> dict[str, Tensor]:
        """Return everything needed to go on, as tensors by name."""
        state = {'step': torch.tensor(self.step)}
        state.update({f'weights/{k}': v for k, v in self.module.state_dict().items()})
        state.update({f'average/{k}': v for k, v in self.average.items()})
        for index, parameter in self._adam.state_dict()['state'].items():
            state.update({f'adam/{index}/{name}': value for name, value in parameter.items()})
        return {name: value.detach().clone().contiguous() for name, value in state.items()}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Go on from what :meth:`tensors` returned."""
        self.step = int(tensors['step'])
        self.module.load_state_dict(_below(tensors, 'weights/'))
        self.average = _below(tensors, 'average/')
        adam = self._adam.state_dict()
        adam['state'] = {}
        for name, value in _below(tensors, 'adam/').items():
            index, field = name.split('/')
            adam['state'].setdefault(int(index), {})[field] = value
        self._adam.load_state_dict(adam)


def _below(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    size = len(prefix)
    return {name[size:]: v.clone() for name, v in tensors.items() if name.startswith(prefix)}
