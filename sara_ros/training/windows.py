"""The neighbours of a frame in time: what was seen before it, and what the expert does next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
import torch
from torch import Tensor

from sara_ros.core import ParameterError
from sara_ros.training.frames import Frames

Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Window:
    """
    Which neighbours a batch holds.

    :param frames: frames of history, the present one included.
    :param every: steps between them.
    :param horizon: steps of labels, the present one included.
    """

    frames: int = 1
    every: int = 1
    horizon: int = 1

    @property
    def dense(self) -> bool:
        """Whether every state of an episode must be among the frames."""
        return self.frames > 1 or self.horizon > 1

    def tensors(
        self, frames: Frames, rows: Any, remembered: Sequence[str], device: torch.device
    ) -> dict[str, Tensor]:
        """Return :meth:`batch` as tensors on ``device``."""
        batch = self.batch(frames, rows, remembered)
        return {name: torch.from_numpy(value).to(device) for name, value in batch.items()}

    def batch(self, frames: Frames, rows: Any, remembered: Sequence[str]) -> Frames:
        """
        Return the frames at ``rows`` ``(B,)``.

        With history the values named in ``remembered`` are ``(B, frames, ...)``, the oldest first;
        the first frame of an episode stands for those before it. With a horizon ``labels`` are
        ``(B, horizon, tasks, A)``, and ``known`` ``(B, horizon)`` tells where the episode went on
        as the expert of its task did.

        :raises ParameterError: when ``frames`` lack states in between.
        """
        rows = np.asarray(rows)
        batch = {name: value[rows] for name, value in frames.items()}
        if not self.dense:
            return batch
        first, last = _runs(frames)
        if self.frames > 1:
            back = np.arange(self.frames - 1, -1, -1) * self.every
            past = np.maximum(rows[:, None] - back, first[rows][:, None])  # (B, frames)
            batch.update({name: frames[name][past] for name in remembered})
        if self.horizon > 1:
            wanted = rows[:, None] + np.arange(self.horizon)  # (B, horizon)
            ahead = np.minimum(wanted, last[rows][:, None])
            batch['labels'] = frames['labels'][ahead]
            batch['known'] = (wanted == ahead) & frames['expert_drives'][rows][:, None]
            batch['known'][:, 0] = True
        return batch


def _runs(frames: Frames) -> tuple[Rows, Rows]:
    """Return the first and last row of the unbroken run of steps that each row is part of."""
    if 'episode' not in frames:
        raise ParameterError(
            'the frames do not state their episodes and steps, which history and chunks need; '
            'collect them again into another work folder'
        )
    same = np.diff(frames['episode']) == 0
    gaps = np.diff(frames['step'])
    if (same & (gaps > 1)).any():
        raise ParameterError(
            'the frames leave out steps of their episodes, which history and chunks need; collect '
            'them again into another work folder'
        )
    breaks = np.flatnonzero(~same | (gaps != 1)) + 1
    starts = np.concatenate([[0], breaks, [len(frames['step'])]])
    lengths = np.diff(starts)
    return np.repeat(starts[:-1], lengths), np.repeat(starts[1:] - 1, lengths)


__all__ = ['Window']
