"""Observations of the tabletop as a policy's spec asks for them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sara_ros.core import (
    ActionSpec,
    Observation,
    ObservationSpec,
    ParameterError,
    PolicySpec,
    TimingRecord,
)
from sara_ros.sim.action_space import tabletop_action
from sara_ros.sim.noisy_depth import Cameras
from sara_ros.sim.scene import (
    BASE_FRAME,
    FINGER_JOINT,
    FINGER_TRAVEL_M,
    FRONT,
    JOINTS,
    OBJECTS,
    WRIST,
)
from sara_ros.sim.sensors import CLOUD_COLORS, front_cloud
from sara_ros.sim.state import WorldState
from sara_ros.sim.world import TabletopWorld

IMAGE_SIZES: Final = {FRONT.name: (480, 640), WRIST.name: (128, 128)}
_FRAMES: Final = {view.name: view.frame for view in (FRONT, WRIST)}
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
        if _offered(need) is None:
            raise ParameterError(_missing(self._spec, need))
        if need.kind == 'image':
            return self._rig.rgb(self._world.data, need.name, *IMAGE_SIZES[need.name])
        if need.kind == 'points':
            return front_cloud(self._rig, self._world.data, DEPTH_SIZE)
        if need.kind == 'pose':
            return state.ee.vector
        if need.kind == 'object_poses':
            return np.stack([state.objects[name].vector for name in need.names])
        joints = dict(zip(JOINTS, state.joint_positions, strict=True))
        joints[FINGER_JOINT] = state.gripper_opening * FINGER_TRAVEL_M
        return np.array([joints[name] for name in need.names], np.float32)


def check_fit(spec: PolicySpec) -> None:
    """
    Check that a policy can be played on the tabletop.

    What a spec leaves open, a size, a unit or a frame, fits; so does a range within the arm's.

    :raises ParameterError: for a need that the tabletop does not have, or has otherwise, and for
        an action that its arm does not take.
    """
    differences: list[str] = []
    for need in spec.observations:
        ours = _offered(need)
        if ours is None:
            raise ParameterError(_missing(spec, need))
        differences += _need_differences(need, ours)
    arm, theirs = tabletop_action(), spec.action
    if (theirs.kind, theirs.rate_hz) != (arm.kind, arm.rate_hz):
        raise ParameterError(
            f"model '{spec.model_id}' returns {theirs.kind} at {theirs.rate_hz:g} Hz; the "
            f"tabletop's arm takes {arm.kind} at {arm.rate_hz:g} Hz"
        )
    differences += _action_differences(theirs, arm)
    if differences:
        raise ParameterError(
            f"model '{spec.model_id}' does not fit the tabletop: {'; '.join(differences)}; play "
            'one that was trained for it, or correct policy.json where that is wrong'
        )


def _offered(need: ObservationSpec) -> ObservationSpec | None:
    """Return ``need`` as :class:`Sensors` draws it; ``None`` for what the tabletop lacks."""
    if need.kind == 'image' and need.name in IMAGE_SIZES:
        size = IMAGE_SIZES[need.name]
        return replace(need, shape=(*size, 3), unit='rgb8', frame=_FRAMES[need.name])
    if need.kind == 'points':
        fields = 3 + len(CLOUD_COLORS)
        return replace(need, shape=(None, fields), unit='m', frame=BASE_FRAME, names=CLOUD_COLORS)
    if need.kind == 'pose' and need.name == 'ee_pose':
        return replace(need, shape=(7,), unit='m', frame=BASE_FRAME)
    if need.kind == 'object_poses' and set(need.names) <= set(OBJECTS):
        return replace(need, shape=(len(need.names), 7), unit='m', frame=BASE_FRAME)
    if need.kind == 'joint_positions' and set(need.names) <= {*JOINTS, FINGER_JOINT}:
        units = {'m' if name == FINGER_JOINT else 'rad' for name in need.names}
        return replace(need, unit=units.pop() if len(units) == 1 else '')
    return None


def _need_differences(need: ObservationSpec, ours: ObservationSpec) -> Iterator[str]:
    where = f"observation '{need.name}'"
    if any(size not in (None, our) for size, our in zip(need.shape, ours.shape, strict=True)):
        yield f"{where} has shape {need.shape}, the tabletop's {ours.shape}"
    for name, theirs, our in (('unit', need.unit, ours.unit), ('frame', need.frame, ours.frame)):
        if theirs and our and theirs != our:
            yield f"{where} has {name} '{theirs}', the tabletop's '{our}'"
    if need.names != ours.names:
        yield f"{where} has names {need.names}, the tabletop's {ours.names}"


def _action_differences(theirs: ActionSpec, arm: ActionSpec) -> Iterator[str]:
    if theirs.frame and theirs.frame != arm.frame:
        yield f"action has frame '{theirs.frame}', the tabletop's '{arm.frame}'"
    for their, our in zip(theirs.dimensions, arm.dimensions, strict=True):
        where = f"action dimension '{their.name}'"
        if their.unit and their.unit != our.unit:
            yield f"{where} has unit '{their.unit}', the tabletop's '{our.unit}'"
        if their.low < our.low or their.high > our.high:
            yield (
                f'{where} has range [{their.low:g}, {their.high:g}], which is not within the '
                f"tabletop's [{our.low:g}, {our.high:g}]"
            )


def _missing(spec: PolicySpec, need: ObservationSpec) -> str:
    return (
        f"model '{spec.model_id}' needs '{need.name}' ({need.kind}), which the tabletop does not "
        f'have; it has images {", ".join(IMAGE_SIZES)}, points, ee_pose and the joints'
    )
