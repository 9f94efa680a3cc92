"""What policies for the tabletop observe."""

from __future__ import annotations

from typing import Final

from sara_ros.core import ObservationSpec
from sara_ros.sim.scene import BASE_FRAME, FINGER_JOINT, FRONT, WRIST
from sara_ros.sim.sensors import CLOUD_COLORS

STATE: Final = (('ee_pose', 7), ('finger_joint', 1))
"""State observations of every tabletop policy and their sizes."""


def state_observations() -> tuple[ObservationSpec, ObservationSpec]:
    """Return the needs named in ``STATE``."""
    return (
        ObservationSpec('ee_pose', 'pose', (7,), 'm', BASE_FRAME, 0.2),
        ObservationSpec(FINGER_JOINT, 'joint_positions', (1,), 'm', '', 0.2, (FINGER_JOINT,)),
    )


def image_observations() -> tuple[ObservationSpec, ...]:
    """Return the needs of the RT-2 variant; the front camera drives it."""
    cameras = tuple(
        ObservationSpec(view.name, 'image', (None, None, 3), 'rgb8', view.frame, 0.2)
        for view in (FRONT, WRIST)
    )
    return (*cameras, *state_observations())


def point_observations() -> tuple[ObservationSpec, ...]:
    """Return the needs of the PCT variant; the cloud drives it."""
    cloud = ObservationSpec('points', 'points', (None, 6), 'm', BASE_FRAME, 0.2, CLOUD_COLORS)
    return (cloud, *state_observations())
