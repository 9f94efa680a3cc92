"""What up-training needs to know about the data a model was trained on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from torch import nn

from sara_ros.training.loop import LossFunction
from sara_ros.uptraining.measure import HeldOutError


@dataclass(frozen=True, slots=True)
class DataOptions:
    """
    Where frames are, and how many to take.

    :param work: folder of the model's own training; what is missing there is collected again.
    :param models_dir: where the model is.
    :param frames: most frames of each collection (expert, DAgger round); 0 for all.
    :param held_out: simulated frames that errors are measured on.
    :param processes: processes that collect.
    :param recording: the recording, for a model that was trained on one.
    """

    work: Path
    models_dir: Path
    frames: int = 0
    held_out: int = 1000
    processes: int = 2
    recording: Path | None = None


class TrainingData(Protocol):
    """The frames of one training run, its losses, and frames that were held out of it."""

    @property
    def facts(self) -> Mapping[str, Any]:
        """How many frames there are and where they come from, as JSON values without paths."""
        ...

    def learner(self, network: nn.Module) -> Any:
        """Return a module with ``network`` and the heads that exist in training only."""
        ...

    def losses(self, learner: Any) -> LossFunction:
        """Return the losses of the original training on this process's part of a batch."""
        ...

    def encode(self, network: nn.Module, rng: np.random.Generator, batch: int) -> object:
        """Run the attention layers of ``network`` on this process's part of a training batch."""
        ...

    def measure(self, network: nn.Module) -> HeldOutError:
        """Return the errors of ``network``, which is on the CPU, on the held-out frames."""
        ...


__all__ = ['DataOptions', 'TrainingData']
