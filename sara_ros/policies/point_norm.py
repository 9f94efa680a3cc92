"""Batch normalisation of point features."""

from __future__ import annotations

from torch import Tensor, nn


class PointNorm(nn.Module):
    """Batch normalisation of ``(B, N, C)`` over clouds and points, as in PCT."""

    def __init__(self, width: int) -> None:
        """Normalise ``width`` channels."""
        super().__init__()
        self.norm = nn.BatchNorm1d(width)

    def forward(self, x: Tensor) -> Tensor:
        """Return the normalised ``(B, N, C)``."""
        rows: Tensor = self.norm(x.flatten(0, 1))
        return rows.reshape(x.shape)


__all__ = ['PointNorm']
