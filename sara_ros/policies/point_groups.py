"""Sampling and grouping of points, as in the classic form of PCT and in PointNet++."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sara_ros.policies.pct_config import Stage
from sara_ros.policies.point_norm import PointNorm


@torch.no_grad()
def farthest_points(xyz: Tensor, count: int) -> Tensor:
    """
    Return the indices ``(B, count)`` of points ``(B, N, 3)`` that are far from each other.

    The first one is the farthest from the mean, each further one the farthest from those before
    it, so the result does not depend on the order of the points.
    """
    rows = torch.arange(len(xyz), device=xyz.device)
    points = xyz.float().transpose(1, 2).contiguous()  # (B, 3, N)
    gaps = points - points.mean(dim=-1, keepdim=True)
    squared = gaps.square().sum(dim=1)  # (B, N)
    chosen = squared.argmax(dim=-1)
    nearest = torch.full_like(squared, torch.inf)
    found = torch.empty(len(xyz), count, dtype=torch.long, device=xyz.device)
    for index in range(count):
        found[:, index] = chosen
        # In place: what is allocated anew in each turn would take most of the time.
        torch.sub(points, points[rows, :, chosen][..., None], out=gaps)
        torch.sum(gaps.mul_(gaps), dim=1, out=squared)
        torch.minimum(nearest, squared, out=nearest)
        chosen = nearest.argmax(dim=-1)
    return found


@torch.no_grad()
def nearest_points(xyz: Tensor, centres: Tensor, count: int) -> Tensor:
    """Return the indices ``(B, S, count)`` of the points nearest to centres ``(B, S, 3)``."""
    distances = torch.cdist(centres.float(), xyz.float())
    return distances.topk(count, dim=-1, largest=False, sorted=False).indices


def taken(values: Tensor, indices: Tensor) -> Tensor:
    """Return ``(B, ..., C)`` of ``(B, N, C)`` at the indices ``(B, ...)``."""
    rows = torch.arange(len(values), device=values.device)
    return values[rows.reshape(-1, *(1,) * (indices.ndim - 1)), indices]


class Grouping(nn.Module):
    """
    One sampling stage of PCT (Guo et al. 2021, section 4.2): fewer points that know their own.

    Centres are sampled farthest first. Each takes the features of its nearest points, less its
    own and beside its own, through two layers, and the largest of each channel.
    """

    def __init__(self, stage: Stage, width: int) -> None:
        """Build the two layers."""
        super().__init__()
        self.stage = stage
        self.layers = nn.Sequential(
            nn.Linear(2 * width, width), PointNorm(width), nn.ReLU(),
            nn.Linear(width, width), PointNorm(width), nn.ReLU(),
        )  # fmt: skip

    def forward(self, xyz: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
        """Return centres ``(B, S, 3)`` and features ``(B, S, C)`` of ``(B, N, ...)``."""
        chosen = farthest_points(xyz, self.stage.points)
        centres, own = taken(xyz, chosen), taken(features, chosen)
        near = taken(features, nearest_points(xyz, centres, self.stage.neighbours))
        own = own[:, :, None].expand_as(near)  # (B, S, K, C)
        pairs = torch.cat((near - own, own), dim=-1).flatten(1, 2)
        mixed: Tensor = self.layers(pairs).reshape(near.shape)
        return centres, mixed.amax(dim=2)


__all__ = ['Grouping', 'farthest_points', 'nearest_points', 'taken']
