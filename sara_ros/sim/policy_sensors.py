"""Observations of the tabletop as a policy's spec asks for them."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sara_ros.core import Observation, ObservationSpec, ParameterError, PolicySpec, TimingRecord
from sara_ros.sim.action_space import tabletop_action
from sara_ros.sim.noisy_depth import Cameras
from sara_ros.sim.scene import FINGER_JOINT, FINGER_TRAVEL_M, FRONT, JOINTS, OBJECTS, WRIST
from sara_ros.sim.sensors import front_cloud
from sara_ros.sim.state import WorldState
from sara_ros.sim.world import TabletopWorld

IMAGE_SIZES: Final = {FRONT.name: (480, 640), WRIST.name: (128, 128)}
DEPTH_SIZE: Final = (120, 160)
"""Rows and columns of what the simulator node publishes."""


class Sensors:
    """Draws what a spec asks for, as the simulator node publishes it."""

    def __init__(self, world: TabletopWorld, rig: Cameras, spec: PolicySpec) -> None:
        """Observe ``world`` for a policy with ``spec``."""
        self._world = world
        self._rig = rig
        self._spec = spec

    def observe(self, instruction: str) -> Observation:
        """
        Return the present observation.

        :raises ParameterError: for a need that the tabletop does not have.
        """
        state = self._world.state
        values = {need.name: self._value(need, state) for need in self._spec.observations}
        stamp_ns = round(self._world.time_sec * 1e9)
        return Observation(values, instruction, TimingRecord(stamp_ns, mark_ns=0))

    def _value(self, need: ObservationSpec, state: WorldState) -> NDArray[Any]:
        if need.kind == 'image' and need.name in IMAGE_SIZES:
            return self._rig.rgb(self._world.data, need.name, *IMAGE_SIZES[need.name])
        if need.kind == 'points':
            return front_cloud(self._rig, self._world.data, DEPTH_SIZE)
        if need.kind == 'pose':
            return state.ee.vector
        if need.kind == 'object_poses':
            return np.stack([state.objects[name].vector for name in need.names])
        if need.kind == 'joint_positions' and _has_joints(need):
            joints = dict(zip(JOINTS, state.joint_positions, strict=True))
            joints[FINGER_JOINT] = state.gripper_opening * FINGER_TRAVEL_M
            return np.array([joints[name] for name in need.names], np.float32)
        raise ParameterError(_missing(self._spec, need))


def check_fit(spec: PolicySpec) -> None:
    """
    Check that a policy can be played on the tabletop.

    :raises ParameterError: for a need that the tabletop does not have, and for an action that
        its arm does not take.
    """
    for need in spec.observations:
        fits = {
            'image': need.name in IMAGE_SIZES,
            'points': True,
            'pose': need.name == 'ee_pose',
            'object_poses': set(need.names) <= set(OBJECTS),
            'joint_positions': _has_joints(need),
        }
        if not fits.get(need.kind, False):
            raise ParameterError(_missing(spec, need))
    ours, theirs = tabletop_action(), spec.action
    if (theirs.kind, theirs.rate_hz) != (ours.kind, ours.rate_hz):
        raise ParameterError(
            f"model '{spec.model_id}' returns {theirs.kind} at {theirs.rate_hz:g} Hz; the "
            f"tabletop's arm takes {ours.kind} at {ours.rate_hz:g} Hz"
        )


def _has_joints(need: ObservationSpec) -> bool:
    return set(need.names) <= {*JOINTS, FINGER_JOINT}


def _missing(spec: PolicySpec, need: ObservationSpec) -> str:
    return (
        f"model '{spec.model_id}' needs '{need.name}' ({need.kind}), which the tabletop does not "
        f'have; it has images {", ".join(IMAGE_SIZES)}, points, ee_pose and the joints'
    )
