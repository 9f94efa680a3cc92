"""The tabletop's arm as a URDF for ros2_control and Gazebo, from the MuJoCo model."""

from __future__ import annotations

from typing import Final
from xml.etree.ElementTree import Element, SubElement

import mujoco
import numpy as np

from sara_ros.sim.arm_description import HOME_JOINTS, MAX_JOINT_SPEED_RAD_PER_SEC
from sara_ros.sim.gazebo_sensors import camera_sensor
from sara_ros.sim.gazebo_shapes import (
    OPTICAL_FROM_CAMERA,
    Shape,
    add_geometry,
    camera_matrix,
    rotation,
    rpy,
    shapes_of,
    text,
)
from sara_ros.sim.scene import (
    BASE_FRAME,
    FINGER_JOINT,
    FINGER_TRAVEL_M,
    FRONT,
    JOINTS,
    WRIST,
    CameraView,
    build_arm_model,
)
from sara_ros.sim.state import Float64Array

TIP_LINK: Final = 'ee_link'
FINGER_JOINTS: Final = (FINGER_JOINT, f'{FINGER_JOINT}_mimic')
XACRO: Final = 'http://www.ros.org/wiki/xacro'

_BASE_MASS_KG: Final = 5.0
_MAX_TORQUE_NM: Final = 200.0
_MAX_GRIP_N: Final = 20.0
_MAX_FINGER_SPEED_M_PER_SEC: Final = 0.2
_SYSTEM: Final = 'gz_ros2_control/GazeboSimSystem'
_PLUGIN: Final = {
    'filename': 'gz_ros2_control-system',
    'name': 'gz_ros2_control::GazeboSimROS2ControlPlugin',
}


def arm_urdf() -> Element:
    """
    Return the URDF, a xacro with the arguments ``controllers`` (a YAML file) and ``namespace``.

    Link and joint names are those of the MuJoCo model, ``base_link`` for its base; ``ee_link`` is
    its end-effector site, and both cameras have a frame and an optical frame.
    """
    model = build_arm_model()
    robot = Element('robot', {'name': 'sara_arm', 'xmlns:xacro': XACRO})
    SubElement(
        robot, 'xacro:arg',
        {'name': 'controllers', 'default': '$(find sara_ros)/config/gazebo/controllers.yaml'},
    )  # fmt: skip
    SubElement(robot, 'xacro:arg', {'name': 'namespace', 'default': ''})
    SubElement(robot, 'link', {'name': 'world'})
    _fixed(robot, BASE_FRAME, 'world', np.zeros(3), np.eye(3))
    for body in range(1, model.nbody):
        _add_body(robot, model, body)
    site = model.site('ee')
    _fixed(robot, TIP_LINK, 'hand', model.site_pos[site.id], rotation(model.site_quat[site.id]))
    SubElement(robot, 'link', {'name': TIP_LINK})
    _add_camera_frames(robot, FRONT, BASE_FRAME)
    _add_camera_frames(robot, WRIST, WRIST.body)
    _add_control(robot)
    hand = SubElement(robot, 'gazebo', {'reference': WRIST.body})
    hand.append(camera_sensor(WRIST, width=128, height=128, prefix='wrist/', posed=True))
    return robot


def _add_body(robot: Element, model: mujoco.MjModel, body: int) -> None:
    name = model.body(body).name
    link = BASE_FRAME if name == 'base' else name
    _add_link(robot, model, body, link)
    if model.body_jntnum[body]:
        parent = model.body(int(model.body_parentid[body])).name
        _add_joint(robot, model, body, BASE_FRAME if parent == 'base' else parent, link)


def _add_link(robot: Element, model: mujoco.MjModel, body: int, name: str) -> None:
    link = SubElement(robot, 'link', {'name': name})
    mass = float(model.body_mass[body])
    inertial = SubElement(link, 'inertial')
    SubElement(
        inertial, 'origin',
        _origin(model.body_ipos[body], rotation(model.body_iquat[body])),
    )  # fmt: skip
    SubElement(inertial, 'mass', {'value': text((mass or _BASE_MASS_KG,))})
    moments = model.body_inertia[body] if mass else np.full(3, 0.02)
    axes = dict(zip(('ixx', 'iyy', 'izz'), (text((value,)) for value in moments), strict=True))
    SubElement(inertial, 'inertia', {**axes, 'ixy': '0', 'ixz': '0', 'iyz': '0'})
    for shape in shapes_of(model, model.body(body).name):
        _add_shape(link, 'visual', shape)
        if shape.collides:
            _add_shape(link, 'collision', shape)


def _add_shape(link: Element, use: str, shape: Shape) -> None:
    part = SubElement(link, use, {'name': shape.name})
    SubElement(part, 'origin', _origin(shape.position, shape.matrix))
    add_geometry(part, shape)
    if use == 'visual':
        material = SubElement(part, 'material', {'name': f'{shape.name}_material'})
        SubElement(material, 'color', {'rgba': text(shape.rgba)})


def _add_joint(robot: Element, model: mujoco.MjModel, body: int, parent: str, child: str) -> None:
    index = int(model.body_jntadr[body])
    slides = model.jnt_type[index] == mujoco.mjtJoint.mjJNT_SLIDE
    joint = SubElement(
        robot, 'joint',
        {'name': model.joint(index).name, 'type': 'prismatic' if slides else 'revolute'},
    )  # fmt: skip
    SubElement(joint, 'parent', {'link': parent})
    SubElement(joint, 'child', {'link': child})
    SubElement(joint, 'origin', _origin(model.body_pos[body], rotation(model.body_quat[body])))
    SubElement(joint, 'axis', {'xyz': text(model.jnt_axis[index])})
    low, high = model.jnt_range[index]
    SubElement(
        joint, 'limit',
        {
            'lower': text((low,)), 'upper': text((high,)),
            'velocity': text(
                (_MAX_FINGER_SPEED_M_PER_SEC if slides else MAX_JOINT_SPEED_RAD_PER_SEC,)
            ),
            'effort': text((_MAX_GRIP_N if slides else _MAX_TORQUE_NM,)),
        },
    )  # fmt: skip
    damping = float(model.dof_damping[model.jnt_dofadr[index]])
    SubElement(joint, 'dynamics', {'damping': text((damping,)), 'friction': '0'})


def _add_camera_frames(robot: Element, view: CameraView, parent: str) -> None:
    camera = f'{view.name}_camera_frame'
    _fixed(robot, camera, parent, np.array(view.position), camera_matrix(view))
    SubElement(robot, 'link', {'name': camera})
    _fixed(robot, view.frame, camera, np.zeros(3), OPTICAL_FROM_CAMERA)
    SubElement(robot, 'link', {'name': view.frame})


def _fixed(
    robot: Element, child: str, parent: str, position: Float64Array, matrix: Float64Array
) -> None:
    joint = SubElement(robot, 'joint', {'name': f'{parent}_to_{child}', 'type': 'fixed'})
    SubElement(joint, 'parent', {'link': parent})
    SubElement(joint, 'child', {'link': child})
    SubElement(joint, 'origin', _origin(position, matrix))


def _origin(position: Float64Array, matrix: Float64Array) -> dict[str, str]:
    return {'xyz': text(position), 'rpy': text(rpy(matrix))}


def _add_control(robot: Element) -> None:
    control = SubElement(robot, 'ros2_control', {'name': 'sara_arm', 'type': 'system'})
    hardware = SubElement(control, 'hardware')
    SubElement(hardware, 'plugin').text = _SYSTEM
    starts = (*HOME_JOINTS, FINGER_TRAVEL_M, FINGER_TRAVEL_M)
    for name, start in zip((*JOINTS, *FINGER_JOINTS), starts, strict=True):
        joint = SubElement(control, 'joint', {'name': name})
        SubElement(joint, 'command_interface', {'name': 'position'})
        position = SubElement(joint, 'state_interface', {'name': 'position'})
        SubElement(position, 'param', {'name': 'initial_value'}).text = text((start,))
        SubElement(joint, 'state_interface', {'name': 'velocity'})
    plugin = SubElement(SubElement(robot, 'gazebo'), 'plugin', _PLUGIN)
    # Closes the gap to a position in 10 ms, as stiffly as the actuators of the MuJoCo model.
    SubElement(plugin, 'position_proportional_gain').text = '0.5'
    SubElement(plugin, 'parameters').text = '$(arg controllers)'
    ros = SubElement(plugin, 'ros')
    SubElement(ros, 'namespace').text = '$(arg namespace)'
