"""Train a network further on the task it was trained on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import Progress
import torch
from torch import nn

from sara_ros.training.loop import Losses, LossFunction, run_loop, seed_everything
from sara_ros.training.optimiser import Recipe
from sara_ros.uptraining.data import TrainingData
from sara_ros.uptraining.distributed import ALONE, Processes


def finetune(
    network: nn.Module,
    data: TrainingData,
    recipe: Recipe,
    folder: Path,
    *,
    lora_rank: int = 0,
    settings: Mapping[str, Any] | None = None,
    save_every: int = 100,
    progress: Progress | None = None,
    title: str = 'fine-tune',
    here: Processes = ALONE,
) -> nn.Module:
    """
    Train ``network`` with the losses of its original training; returns it, weights averaged.

    Heads that exist in training only (which object a token shows, where the goals are) are not in
    checkpoints. They begin anew, drawn from the seed of ``recipe``: the same for every network
    that is fine-tuned with it, so that the softmax control has them as well. Batches depend on
    the seed and the step only. Stopped at any step, it goes on from ``folder``.

    :param lora_rank: rank of low-rank updates that are trained in the place of the weights, and
        merged into them at the end (Hu et al. 2021); 0 to train all weights.
    :param here: the processes that share each batch, and the device of ``network``; ``data``
        must have been opened for the same. Only process 0 writes to ``folder``.
    :raises ParameterError: as :func:`run_loop`, and for a rank that cannot be used.
    """
    seed_everything(recipe.seed)
    learner = data.learner(_adapted(network, lora_rank))
    learner.to(here.device)
    with here.folder(folder) as work:
        optimiser = run_loop(
            learner, here.spread(_seeded(data.losses(learner)), learner), recipe, work,
            settings={'lora_rank': lora_rank, **(settings or {})}, save_every=save_every,
            progress=progress if here.is_main else None, title=title, writes=here.is_main,
        )  # fmt: skip
    learner.load_state_dict(optimiser.average)
    merged: nn.Module = _merged(learner.network, lora_rank)
    return merged


def _adapted(network: nn.Module, rank: int) -> Any:
    if not rank:
        return network
    from sara_ros.uptraining.lora import add

    return add(network, rank)


def _merged(network: Any, rank: int) -> Any:
    if not rank:
        return network
    from sara_ros.uptraining.lora import merge

    return merge(network)


def _seeded(losses: LossFunction) -> LossFunction:
    """Let what a network draws in training depend on the step only, so that it can be resumed."""

    def seeded(rng: np.random.Generator, batch: int) -> Losses:
        torch.manual_seed(int(rng.integers(2**31)))
        return losses(rng, batch)

    return seeded


__all__ = ['finetune']
