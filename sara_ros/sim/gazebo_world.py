"""The tabletop without its arm as a Gazebo world, from the MuJoCo model."""

from __future__ import annotations

from typing import Final
from xml.etree.ElementTree import Element, SubElement

import mujoco
import numpy as np

from sara_ros.sim.gazebo_sensors import RATE_HZ, camera_sensor
from sara_ros.sim.gazebo_shapes import Shape, camera_matrix, rpy, shapes_of, text
from sara_ros.sim.scene import BLOCK_HALF_M, BLOCK_MASS_KG, COLORS, DISC, FRONT
from sara_ros.sim.state import Float64Array
from sara_ros.sim.world import TabletopWorld

WORLD: Final = 'tabletop'
SDF_VERSION: Final = '1.10'
DEPTH_PREFIX: Final = 'front_depth/'

_SYSTEMS: Final = (
    ('gz-sim-physics-system', 'gz::sim::systems::Physics'),
    ('gz-sim-user-commands-system', 'gz::sim::systems::UserCommands'),
    ('gz-sim-scene-broadcaster-system', 'gz::sim::systems::SceneBroadcaster'),
)
_SENSORS: Final = ('gz-sim-sensors-system', 'gz::sim::systems::Sensors')
_POSES: Final = ('gz-sim-pose-publisher-system', 'gz::sim::systems::PosePublisher')
_KEY_LIGHT: Final = ('-0.45 0.5 -1', '0.8 0.8 0.78 1')


def tabletop_sdf() -> Element:
    """
    Return the SDF: table, four blocks, the disc, front camera with depth, and the systems.

    Objects lie as the embedded simulator puts them for seed 0. MuJoCo takes the larger friction
    of two bodies that touch and Gazebo's DART the smaller; the numbers are chosen so that fingers
    on blocks and blocks on the table have the same in both.
    """
    tabletop = TabletopWorld()
    model = tabletop.model
    root = Element('sdf', {'version': SDF_VERSION})
    world = SubElement(root, 'world', {'name': WORLD})
    _add_physics(world, float(model.opt.timestep))
    _add_looks(world)
    slippery = float(model.geom_friction[model.geom('table').id, 0])
    rough = float(model.geom_friction[model.geom('left_fingertip').id, 0])
    block = float(model.geom_friction[model.geom(COLORS[0]).id, 0])
    _add_table(world, model, max(slippery, block))
    objects = tabletop.state.objects
    for color in COLORS:
        pose = objects[color]
        link = _add_object(world, color, np.array([*pose.position, 0, 0, pose.yaw_rad]))
        _add_inertia(link, BLOCK_MASS_KG, BLOCK_MASS_KG * (2 * BLOCK_HALF_M) ** 2 / 6)
        _add_shapes(link, shapes_of(model, color), max(rough, block))
    link = _add_object(world, DISC, np.array([*objects[DISC].position, 0, 0, 0]))
    SubElement(link, 'gravity').text = 'false'
    _add_inertia(link, 0.01, 1e-5)
    _add_shapes(link, shapes_of(model, DISC), 0.0)
    _add_front_camera(world)
    return root


def _add_physics(world: Element, step_sec: float) -> None:
    physics = SubElement(world, 'physics', {'name': 'step', 'type': 'ignored'})
    SubElement(physics, 'max_step_size').text = text((step_sec,))
    SubElement(physics, 'real_time_factor').text = '1'
    for filename, name in _SYSTEMS:
        SubElement(world, 'plugin', {'filename': filename, 'name': name})
    sensors = SubElement(world, 'plugin', dict(zip(('filename', 'name'), _SENSORS, strict=True)))
    SubElement(sensors, 'render_engine').text = 'ogre2'
    SubElement(world, 'gravity').text = '0 0 -9.81'


def _add_looks(world: Element) -> None:
    looks = SubElement(world, 'scene')
    SubElement(looks, 'ambient').text = '0.5 0.5 0.5 1'
    SubElement(looks, 'background').text = '0 0 0 1'
    SubElement(looks, 'shadows').text = 'false'
    light = SubElement(world, 'light', {'name': 'key', 'type': 'directional'})
    SubElement(light, 'pose').text = '0.9 -0.8 1.6 0 0 0'
    SubElement(light, 'cast_shadows').text = 'false'
    SubElement(light, 'diffuse').text = _KEY_LIGHT[1]
    SubElement(light, 'specular').text = '0.2 0.2 0.2 1'
    SubElement(light, 'direction').text = _KEY_LIGHT[0]


def _add_table(world: Element, model: mujoco.MjModel, friction: float) -> None:
    table = SubElement(world, 'model', {'name': 'table'})
    SubElement(table, 'static').text = 'true'
    link = SubElement(table, 'link', {'name': 'link'})
    for shape in shapes_of(model, 'world'):
        # The one that is touched lies beneath the planks that are looked at.
        _add_shape(link, 'collision' if shape.collides else 'visual', shape, friction)


def _add_object(world: Element, name: str, pose: Float64Array) -> Element:
    """Add a model whose pose Gazebo publishes; return its link."""
    model = SubElement(world, 'model', {'name': name})
    SubElement(model, 'pose').text = text(pose)
    link = SubElement(model, 'link', {'name': 'link'})
    poses = SubElement(model, 'plugin', dict(zip(('filename', 'name'), _POSES, strict=True)))
    for what, wanted in (
        ('publish_link_pose', 'false'),
        ('publish_model_pose', 'true'),
        ('use_pose_vector_msg', 'false'),
        ('update_frequency', str(RATE_HZ)),
    ):
        SubElement(poses, what).text = wanted
    return link


def _add_inertia(link: Element, mass_kg: float, moment: float) -> None:
    inertial = SubElement(link, 'inertial')
    SubElement(inertial, 'mass').text = text((mass_kg,))
    inertia = SubElement(inertial, 'inertia')
    for axis in ('ixx', 'iyy', 'izz'):
        SubElement(inertia, axis).text = text((moment,))


def _add_shapes(link: Element, shapes: list[Shape], friction: float) -> None:
    for shape in shapes:
        _add_shape(link, 'visual', shape, friction)
        if shape.collides:
            _add_shape(link, 'collision', shape, friction)


def _add_shape(link: Element, use: str, shape: Shape, friction: float) -> None:
    part = SubElement(link, use, {'name': f'{shape.name}_{use}'})
    SubElement(part, 'pose').text = text(np.concatenate([shape.position, rpy(shape.matrix)]))
    solid = SubElement(SubElement(part, 'geometry'), shape.kind)
    if shape.kind == 'box':
        SubElement(solid, 'size').text = text(shape.size)
    else:
        for name, value in zip(('radius', 'length'), shape.size, strict=False):
            SubElement(solid, name).text = text((value,))
    if use == 'visual':
        material = SubElement(part, 'material')
        for name in ('ambient', 'diffuse'):
            SubElement(material, name).text = text(shape.rgba)
        return
    ode = SubElement(SubElement(SubElement(part, 'surface'), 'friction'), 'ode')
    for name in ('mu', 'mu2'):
        SubElement(ode, name).text = text((friction,))


def _add_front_camera(world: Element) -> None:
    model = SubElement(world, 'model', {'name': 'front_camera'})
    SubElement(model, 'static').text = 'true'
    pose = np.concatenate([FRONT.position, rpy(camera_matrix(FRONT))])
    SubElement(model, 'pose').text = text(pose)
    link = SubElement(model, 'link', {'name': 'link'})
    link.append(camera_sensor(FRONT, width=640, height=480))
    link.append(camera_sensor(FRONT, width=160, height=120, prefix=DEPTH_PREFIX, depth=True))
