"""What a policy sees at one instant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sara_ros.core.errors import ObservationError
from sara_ros.core.timing import TimingRecord

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Observation:
    """
    Decoded sensor values by the names that the policy's spec gives them.

    Images are ``(H, W, 3)`` uint8 RGB, clouds ``(N, F)`` float32 in the frame the spec asks for,
    everything else a float32 vector or matrix. Arrays are shared with the sensor buffer and must
    not be written to.
    """

    values: Mapping[str, Array]
    instruction: str
    timing: TimingRecord

    def __getitem__(self, name: str) -> Array:
        """
        Return the value called ``name``.

        :raises ObservationError: when the observation does not hold it.
        """
        try:
            return self.values[name]
        except KeyError:
            known = ', '.join(sorted(self.values)) or 'nothing'
            raise ObservationError(
                'missing', f"observation has no '{name}'; it holds {known}"
            ) from None

    @classmethod
    def of(cls, instruction: str = '', **values: Array) -> Observation:
        """Build an observation outside the graph (tests, training), with empty timing."""
        timing = TimingRecord(stamp_ns=0, mark_ns=0)
        arrays = {name: np.asarray(value) for name, value in values.items()}
        return cls(values=arrays, instruction=instruction, timing=timing)
