"""Shapes and inertias of a MuJoCo body, in the terms of URDF and SDF."""

from __future__ import annotations

from dataclasses import dataclass
import math
from typing import Final
from xml.etree.ElementTree import Element, SubElement

import mujoco
import numpy as np

from sara_ros.sim.scene import CameraView
from sara_ros.sim.state import Float64Array

_CYLINDER: Final = int(mujoco.mjtGeom.mjGEOM_CYLINDER)
_CAPSULE: Final = int(mujoco.mjtGeom.mjGEOM_CAPSULE)
_BOX: Final = int(mujoco.mjtGeom.mjGEOM_BOX)
_GIMBAL_LOCK: Final = 1 - 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """
    A box, a cylinder or a sphere in the frame of its link.

    :param size: lengths of a box; radius and length of a cylinder; radius of a sphere; m.
    :param matrix: its rotation, ``(3, 3)``.
    :param collides: whether it is touched, besides being looked at.
    """

    name: str
    kind: str
    size: tuple[float, ...]
    position: Float64Array
    matrix: Float64Array
    rgba: tuple[float, ...]
    collides: bool


def shapes_of(model: mujoco.MjModel, body: str) -> list[Shape]:
    """Return the shapes of a body; a capsule is a cylinder and two spheres."""
    index = model.body(body).id
    start, count = int(model.body_geomadr[index]), int(model.body_geomnum[index])
    shapes: list[Shape] = []
    for place, geom in enumerate(range(start, start + count)):
        shapes += _shapes(model, geom, model.geom(geom).name or f'{body}_{place}')
    return shapes


def _shapes(model: mujoco.MjModel, geom: int, name: str) -> list[Shape]:
    size = [float(value) for value in model.geom_size[geom]]
    position = np.array(model.geom_pos[geom])
    matrix = rotation(model.geom_quat[geom])
    material = int(model.geom_matid[geom])
    rgba = tuple(model.mat_rgba[material] if material >= 0 else model.geom_rgba[geom])
    rest = (matrix, rgba, bool(model.geom_contype[geom]))
    kind = int(model.geom_type[geom])
    if kind == _BOX:
        lengths = tuple(2 * value for value in size)
        return [Shape(name, 'box', lengths, position, *rest)]
    if kind not in (_CYLINDER, _CAPSULE):
        raise ValueError(f"geom '{name}' has type {kind}; only boxes, cylinders and capsules")
    tube = Shape(name, 'cylinder', (size[0], 2 * size[1]), position, *rest)
    if kind == _CYLINDER:
        return [tube]
    ends = [
        Shape(f'{name}_{end}', 'sphere', (size[0],), position + side * size[1] * matrix[:, 2],
              *rest)
        for end, side in (('bottom', -1), ('top', 1))
    ]  # fmt: skip
    return [tube, *ends]


def add_geometry(parent: Element, shape: Shape) -> None:
    """Add the geometry as URDF has it, in attributes."""
    geometry = SubElement(parent, 'geometry')
    if shape.kind == 'box':
        SubElement(geometry, 'box', {'size': text(shape.size)})
    elif shape.kind == 'cylinder':
        size = {'radius': text(shape.size[:1]), 'length': text(shape.size[1:])}
        SubElement(geometry, 'cylinder', size)
    else:
        SubElement(geometry, 'sphere', {'radius': text(shape.size)})


def rotation(quaternion_wxyz: Float64Array) -> Float64Array:
    """Return the ``(3, 3)`` matrix of a quaternion as MuJoCo writes it."""
    matrix = np.empty(9)
    mujoco.mju_quat2Mat(matrix, np.asarray(quaternion_wxyz, np.float64))
    return matrix.reshape(3, 3)


def rpy(matrix: Float64Array) -> Float64Array:
    """Return roll, pitch and yaw about fixed axes, as URDF and SDF read them."""
    if abs(matrix[2, 0]) > _GIMBAL_LOCK:
        pitch = math.copysign(math.pi / 2, -matrix[2, 0])
        return np.array([math.atan2(-matrix[1, 2], matrix[1, 1]), pitch, 0.0])
    pitch = math.atan2(-matrix[2, 0], math.hypot(matrix[2, 1], matrix[2, 2]))
    return np.array(
        [math.atan2(matrix[2, 1], matrix[2, 2]), pitch, math.atan2(matrix[1, 0], matrix[0, 0])]
    )


def camera_matrix(view: CameraView) -> Float64Array:
    """Return a camera's axes in its body: x forward, y left, z up, as Gazebo looks."""
    forward = np.subtract(view.target, view.position)
    forward = forward / np.linalg.norm(forward)
    left = np.cross(view.up, forward)
    left = left / np.linalg.norm(left)
    return np.stack([forward, left, np.cross(forward, left)], axis=1)


OPTICAL_FROM_CAMERA: Final = np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]])
"""Axes of an optical frame (z forward, x right) in a camera frame (x forward, y left)."""


def text(values: Float64Array | tuple[float, ...]) -> str:
    """Return numbers as XML has them; what rounding leaves of a zero becomes a zero."""
    return ' '.join(f'{0.0 if abs(value) < 1e-12 else float(value):.10g}' for value in values)
