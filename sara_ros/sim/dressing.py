"""Lights, cameras and distractors of a compiled model, changed in place for each episode."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import mujoco
import numpy as np

from sara_ros.core import ParameterError
from sara_ros.sim.conditions import CameraShift, Conditions, Distractor, Light
from sara_ros.sim.scene import distractor_name

_KEY_LIGHT: Final = 'key'
_GEOM_TYPES: Final = {
    'ball': mujoco.mjtGeom.mjGEOM_ELLIPSOID,
    'can': mujoco.mjtGeom.mjGEOM_CYLINDER,
    'bar': mujoco.mjtGeom.mjGEOM_BOX,
}


class Dressing:
    """Changes how a scene looks and nothing that physics sees; :meth:`clear` undoes it."""

    def __init__(self, model: mujoco.MjModel, data: mujoco.MjData) -> None:
        """Remember how ``model`` looks now."""
        self._model, self._data = model, data
        self._light = _id(model, mujoco.mjtObj.mjOBJ_LIGHT, _KEY_LIGHT)
        self._slots = [
            model.geom(index).id
            for index in range(model.ngeom)
            if model.geom(index).name.startswith(distractor_name(''))
        ]
        head = model.vis.headlight
        self._plain = [
            (field, np.array(field))
            for field in (
                model.light_dir, model.light_diffuse, head.ambient, model.cam_pos,
                model.cam_quat, model.geom_rgba, model.geom_size, model.geom_type,
            )
        ]  # fmt: skip

    def clear(self) -> None:
        """Make the scene look as it was built."""
        for field, value in self._plain:
            field[...] = value

    def wear(self, conditions: Conditions) -> None:
        """
        Make the scene look as ``conditions`` say; what they do not mention is as built.

        :raises ParameterError: for a camera the scene lacks, and for more distractors than it
            was built with.
        """
        self.clear()
        if conditions.light is not None:
            self._shine(conditions.light)
        for name, shift in conditions.cameras.items():
            self._shift(name, shift)
        self._place(conditions.distractors)

    def _shine(self, light: Light) -> None:
        self._model.light_dir[self._light] = np.array(light.direction) / np.linalg.norm(
            light.direction
        )
        self._model.light_diffuse[self._light] = light.diffuse
        self._model.vis.headlight.ambient[:] = light.ambient

    def _shift(self, name: str, shift: CameraShift) -> None:
        index = _id(self._model, mujoco.mjtObj.mjOBJ_CAMERA, name)
        quaternion = np.array(self._model.cam_quat[index])
        offset, turn = np.empty(3), np.empty(4)
        mujoco.mju_rotVecQuat(offset, np.array(shift.offset_m), quaternion)
        angle = float(np.linalg.norm(shift.turn_rad))
        mujoco.mju_axisAngle2Quat(turn, np.array(shift.turn_rad) / max(angle, 1e-12), angle)
        self._model.cam_pos[index] += offset
        mujoco.mju_mulQuat(self._model.cam_quat[index], quaternion, turn)

    def _place(self, distractors: Sequence[Distractor]) -> None:
        if len(distractors) > len(self._slots):
            raise ParameterError(
                f'{len(distractors)} distractors, but the scene was built with '
                f'{len(self._slots)}; build it with SceneVariation(distractors=...)'
            )
        for geom, distractor in zip(self._slots, distractors):  # noqa: B905 - some stay hidden
            half, height = distractor.size_m
            mocap = self._model.body_mocapid[self._model.geom_bodyid[geom]]
            yaw = distractor.yaw_rad / 2
            self._data.mocap_pos[mocap] = (distractor.x_m, distractor.y_m, height)
            self._data.mocap_quat[mocap] = (np.cos(yaw), 0, 0, np.sin(yaw))
            self._model.geom_type[geom] = _GEOM_TYPES[distractor.shape].value
            self._model.geom_size[geom] = _size(distractor.shape, half, height)
            self._model.geom_rgba[geom] = (*distractor.rgb, 1.0)


def _size(shape: str, half: float, height: float) -> tuple[float, float, float]:
    sizes = {
        'ball': (half, half, height),
        'can': (half, height, 0.0),
        'bar': (half * 1.6, half * 0.6, height),
    }
    return sizes[shape]


def _id(model: mujoco.MjModel, kind: mujoco.mjtObj, name: str) -> int:
    index = int(mujoco.mj_name2id(model, kind, name))
    if index < 0:
        raise ParameterError(f"the scene has no {kind.name[6:].lower()} '{name}'")
    return index
