"""A head that says how to grasp what an instruction names."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

GRASP = 'grasp'
"""Name of the output in :attr:`ActionChunk.extras`."""

_NEAR_M = 0.05


class GraspHead(nn.Module):
    """
    Fingertip position (3), approach direction (unit vector, 3) and roll about it (sine, cosine).

    The position is told from the place that the first pointer looks at. A gripper and what it
    holds look the same after a part of a turn, so what is learned is the sine and cosine of
    ``symmetry`` times the roll, which does not jump where the same grasp begins again.
    """

    def __init__(self, width: int, symmetry: int) -> None:
        """Read ``width`` numbers about each instruction."""
        super().__init__()
        self.symmetry = symmetry
        self.layers = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, 8))

    def forward(self, read: Tensor, place: Tensor) -> Tensor:
        """
        Return ``(B, I, 8)``: position (m), approach, sine and cosine of ``symmetry`` rolls.

        :param read: ``(B, I, C)``.
        :param place: ``(B, I, 3)`` in m, in the frame of the cloud.
        """
        raw = self.layers(read)
        position = place + raw[..., :3] * _NEAR_M
        approach, roll = normalize(raw[..., 3:6], dim=-1), normalize(raw[..., 6:], dim=-1)
        return torch.cat((position, approach, roll), dim=-1)

    def decode(self, grasp: Tensor) -> Tensor:
        """Return ``(..., 8)`` of :meth:`forward` with the smallest roll that it stands for."""
        roll = torch.atan2(grasp[..., 6], grasp[..., 7]) / self.symmetry
        return torch.cat((grasp[..., :6], torch.stack((roll.sin(), roll.cos()), dim=-1)), dim=-1)


__all__ = ['GRASP', 'GraspHead']
