"""What is true of the tabletop world at one instant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Float64Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Pose:
    """Position in m, shape ``(3,)``, and quaternion ``x y z w``, shape ``(4,)``."""

    position: Float64Array
    quaternion: Float64Array

    @property
    def vector(self) -> NDArray[np.float32]:
        """Position and quaternion, shape ``(7,)``."""
        return np.concatenate([self.position, self.quaternion]).astype(np.float32)

    @classmethod
    def from_vector(cls, vector: NDArray[np.floating]) -> Pose:
        """Read the form that :attr:`vector` returns."""
        values = np.asarray(vector, np.float64)
        return cls(values[:3], values[3:7])

    @property
    def yaw_rad(self) -> float:
        """Heading of the x axis about the vertical of ``base_link``."""
        x, y, z, w = self.quaternion
        return float(np.arctan2(2 * (x * y + w * z), 1 - 2 * (y * y + z * z)))


@dataclass(frozen=True, slots=True, eq=False)
class WorldState:
    """
    Poses are in ``base_link``; ``objects`` maps the names in ``scene.OBJECTS`` to body centres.

    :param ee: end effector, a point between the finger pads; z is the approach direction.
    :param gripper_opening: 0 closed, 1 open.
    :param joint_positions: ``joint_1`` to ``joint_7`` in rad.
    :param peak_heights_m: highest centre of each block since the reset; empty when unknown.
    """

    ee: Pose
    gripper_opening: float
    objects: Mapping[str, Pose]
    joint_positions: Float64Array = field(default_factory=lambda: np.zeros(7))
    peak_heights_m: Mapping[str, float] = field(default_factory=dict)
