"""What a policy returns: a chunk of consecutive actions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sara_ros.core.errors import ActionError
from sara_ros.core.timing import TimingRecord

FloatArray = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class ActionChunk:
    """
    Actions for the next ``horizon`` steps at the rate of the policy's action spec.

    ``values`` has shape ``(horizon, dimensions)``, in the units and order of ``spec.action``.
    ``uncertainty`` has shape ``(horizon,)``, in nats, where the policy can tell it.
    ``model_id`` names the model that computed it, where more than one may have.
    ``extras`` holds what else a policy found out, by names that the policy documents.
    """

    values: FloatArray
    timing: TimingRecord
    uncertainty: FloatArray | None = None
    model_id: str = ''
    extras: Mapping[str, FloatArray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse anything but a non-empty matrix: an empty chunk would look like a hold."""
        if self.values.ndim != 2 or 0 in self.values.shape:
            raise ActionError(
                f'action chunk has shape {self.values.shape}; expected (horizon, dimensions), '
                'both at least 1'
            )
        if self.uncertainty is not None and self.uncertainty.shape != self.values.shape[:1]:
            raise ActionError(
                f'uncertainty has shape {self.uncertainty.shape} beside values of shape '
                f'{self.values.shape}; expected one number a step'
            )

    @property
    def horizon(self) -> int:
        """Number of steps in the chunk."""
        return int(self.values.shape[0])
