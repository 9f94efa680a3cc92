"""Losses on action tokens, and those that exist in training only: they need true places."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, huber_loss

from sara_ros.sim.scene import COLORS, DISC, OBJECTS
from sara_ros.sim.tasks import TASKS

BLOCK_OF_TASK: Final = torch.tensor([COLORS.index(task.color) for task in TASKS])
Mean: TypeAlias = Callable[[Tensor], Tensor]
"""Takes a number that a batch is divided by; returns its mean over the processes that share it."""

GOALS: Final = 6
"""Numbers that say where the named block and the disc are."""

_GOAL_SCALE_M: Final = 0.02


def alone(count: Tensor) -> Tensor:
    """Return ``count``: the :data:`Mean` of a process that has the whole batch."""
    return count


def blocks_of(tasks: Tensor) -> Tensor:
    """Return the index in ``scene.COLORS`` of the block that each task names."""
    return BLOCK_OF_TASK.to(tasks.device)[tasks]


def soft_targets(values: Tensor, low: Tensor, width: Tensor, bins: int, sigma: float) -> Tensor:
    """
    Return a distribution over bins for each value, ``(..., T, bins)``.

    A Gaussian of ``sigma`` bins around the exact value: neighbouring bins are nearly right.
    """
    low, width = low.to(values.device), width.to(values.device)
    place = ((values - low) / width - 0.5).clamp(0, bins - 1)  # in bins, 0 at the first centre
    index = torch.arange(bins, dtype=values.dtype, device=values.device)
    return (-0.5 * ((index - place[..., None]) / sigma).square()).softmax(dim=-1)


def token_loss(
    logits: Tensor, targets: Tensor, known: Tensor | None = None, mean: Mean = alone
) -> Tensor:
    """
    Return the mean cross entropy of ``(..., T, bins)`` against soft targets.

    :param known: ``(..., T)`` bool, the tokens that count; all for ``None``.
    :param mean: of the number of tokens that do.
    """
    surprise = -(targets * logits.float().log_softmax(dim=-1)).sum(dim=-1)
    return _mean_of(surprise, known, mean)


def expectation_loss(
    logits: Tensor, targets: Tensor, known: Tensor | None = None, mean: Mean = alone
) -> Tensor:
    """Return the Huber loss between both means, in shares of the range times ten."""
    index = torch.linspace(0, 10, logits.shape[-1], device=logits.device)
    # bf16 would round the means to 1/256 of themselves.
    with torch.autocast(logits.device.type, enabled=False):
        expected = logits.float().softmax(dim=-1) @ index
        errors = huber_loss(expected, targets @ index, delta=0.5, reduction='none')
        return _mean_of(errors, known, mean)


def _mean_of(values: Tensor, known: Tensor | None, mean: Mean) -> Tensor:
    if known is None:
        return values.mean()
    return (values * known).sum() / _divisor(mean(known.sum()))


def pointing_loss(scores: Tensor, shows: Tensor, mean: Mean = alone) -> Tensor:
    """
    Return the mean surprise of looking elsewhere than at what should be looked at.

    :param scores: ``(..., N)`` attention scores over tokens or points.
    :param shows: ``(..., N)`` bool, where it is; rows without any are left out.
    :param mean: of the number of rows that are not.
    """
    # Finite, because the gradient of a row without any would not be.
    inside = scores.float().log_softmax(dim=-1).masked_fill(~shows, -1e4)
    surprise = -inside.logsumexp(dim=-1)
    seen = shows.any(dim=-1).expand_as(surprise)
    return surprise[seen].sum() / _divisor(mean(seen.sum()))


def _divisor(count: Tensor) -> Tensor:
    # A mean over processes may be above 0 and below 1.
    return count.float().clamp_min(1e-6)


def content_loss(predicted: Tensor, shown: Tensor, where: Tensor, mean: Mean = alone) -> Tensor:
    """
    Return how badly image tokens tell which object they show, and where it is.

    :param predicted: ``(B, N, 6 + P)``: scores of nothing and five objects, then a place.
    :param shown: ``(B, N)`` int64, 0 for nothing.
    :param where: ``(B, N, P)``, the place of what is shown.
    :param mean: of the number of tokens that show something.
    """
    predicted = predicted.float()
    kinds = cross_entropy(predicted[..., :6].flatten(0, 1), shown.flatten())
    something = shown > 0
    errors = huber_loss(predicted[..., 6:], where, delta=0.5, reduction='none').mean(dim=-1)
    return kinds + (errors * something).sum() / _divisor(mean(something.sum()))


def goals_loss(predicted: Tensor, state: Tensor, places: Tensor, tasks: Tensor) -> Tensor:
    """
    Return how badly each query tells where its block and the disc are from the gripper.

    Actions alone say little about the disc: it matters in two verbs of four, and then only at
    the end.

    :param predicted: ``(B, I, ..., 6)`` in units of 2 cm.
    :param state: ``(B, S)``, the gripper's position in m first.
    :param places: ``(B, 5, 3)`` of ``scene.OBJECTS`` in m.
    :param tasks: ``(B, I)``.
    """
    rows = torch.arange(len(tasks), device=tasks.device)[:, None]
    block = places[rows, blocks_of(tasks)]  # (B, I, 3)
    disc = places[:, None, OBJECTS.index(DISC)].expand_as(block)
    gripper = state[:, None, :3]
    goals = torch.cat((block - gripper, disc - gripper), dim=-1) / _GOAL_SCALE_M
    between = (1,) * (predicted.ndim - goals.ndim)
    goals = goals.reshape(*goals.shape[:2], *between, GOALS).expand_as(predicted)
    return huber_loss(predicted.float(), goals, delta=0.5)
