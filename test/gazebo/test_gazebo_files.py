"""The files for Gazebo say the same as the MuJoCo scene, and name what Gazebo and ROS have."""

from collections import Counter
import importlib
import math
from pathlib import Path
from xml.etree import ElementTree

import mujoco
import numpy as np
import pytest
import yaml

from sara_ros.sim import scene
from sara_ros.sim.arm_description import MAX_JOINT_SPEED_RAD_PER_SEC, arm_from_urdf
from sara_ros.sim.cameras import CameraRig
from sara_ros.sim.gazebo_export import FILES, gazebo_text
from sara_ros.sim.gazebo_shapes import rpy
from sara_ros.sim.gazebo_urdf import FINGER_JOINTS, TIP_LINK
from sara_ros.sim.points import Intrinsics
from sara_ros.sim.world import TabletopWorld

FOLDER = Path(__file__).resolve().parents[2] / 'config' / 'gazebo'
OPTICAL = np.diag([1.0, -1.0, -1.0])

GZ_TYPES = {
    'rosgraph_msgs/msg/Clock': 'gz.msgs.Clock',
    'sensor_msgs/msg/Image': 'gz.msgs.Image',
    'sensor_msgs/msg/CameraInfo': 'gz.msgs.CameraInfo',
    'sensor_msgs/msg/PointCloud2': 'gz.msgs.PointCloudPacked',
    'geometry_msgs/msg/TransformStamped': 'gz.msgs.Pose',
}
"""Pairs that ros_gz_bridge for Jazzy converts, from its table of types."""
BRIDGE_KEYS = {
    'ros_topic_name', 'gz_topic_name', 'ros_type_name', 'gz_type_name', 'direction', 'lazy',
}  # fmt: skip
SYSTEMS = {
    'gz-sim-physics-system': 'gz::sim::systems::Physics',
    'gz-sim-user-commands-system': 'gz::sim::systems::UserCommands',
    'gz-sim-scene-broadcaster-system': 'gz::sim::systems::SceneBroadcaster',
    'gz-sim-sensors-system': 'gz::sim::systems::Sensors',
    'gz-sim-pose-publisher-system': 'gz::sim::systems::PosePublisher',
}


@pytest.fixture(scope='module')
def urdf():
    return ElementTree.parse(FOLDER / 'arm.urdf.xacro').getroot()


@pytest.fixture(scope='module')
def sdf():
    return ElementTree.parse(FOLDER / 'tabletop.sdf').getroot()


@pytest.fixture(scope='module')
def bridge():
    return yaml.safe_load((FOLDER / 'bridge.yaml').read_text())


@pytest.fixture(scope='module')
def arm():
    """Read the URDF as MuJoCo does."""
    return arm_from_urdf((FOLDER / 'arm.urdf.xacro').read_text(), scene.JOINTS, TIP_LINK)


@pytest.mark.parametrize('name', FILES)
def test_files_are_current(name):
    """Run scripts/gazebo_files.py after a change of the scene."""
    assert (FOLDER / name).read_text() == gazebo_text(name)


def test_the_arm_moves_as_in_the_scene(arm):
    """Positions and axes of the end effector and of the wrist camera, for random joints."""
    rng = np.random.default_rng(0)
    model = scene.build_model()
    theirs, ours = mujoco.MjData(arm.model), mujoco.MjData(model)
    camera = model.camera('wrist').id
    for _ in range(50):
        joints = rng.uniform(-1.9, 1.9, 7)
        theirs.qpos[arm.addresses] = joints
        ours.qpos[[int(model.joint(name).qposadr[0]) for name in scene.JOINTS]] = joints
        mujoco.mj_kinematics(arm.model, theirs)
        mujoco.mj_kinematics(model, ours)
        mujoco.mj_camlight(model, ours)
        tip, site = arm.tip_pose(theirs), ours.site('ee')
        np.testing.assert_allclose(tip.translation(), site.xpos, atol=1e-6)
        np.testing.assert_allclose(tip.rotation().as_matrix().ravel(), site.xmat, atol=1e-6)
        wrist = theirs.body(scene.WRIST.frame)
        np.testing.assert_allclose(wrist.xpos, ours.cam_xpos[camera], atol=1e-6)
        wanted = ours.cam_xmat[camera].reshape(3, 3) @ OPTICAL
        np.testing.assert_allclose(wrist.xmat.reshape(3, 3), wanted, atol=1e-6)


def test_limits_and_masses_are_those_of_the_scene(urdf, arm):
    model = scene.build_arm_model()
    for name in (*scene.JOINTS, *FINGER_JOINTS):
        joint = urdf.find(f"joint[@name='{name}']")
        limits = [float(joint.find('limit').get(side)) for side in ('lower', 'upper')]
        np.testing.assert_allclose(limits, model.joint(name).range)
        axis = [float(each) for each in joint.find('axis').get('xyz').split()]
        np.testing.assert_allclose(axis, model.joint(name).axis)
    for body in range(2, model.nbody):
        link = urdf.find(f"link[@name='{model.body(body).name}']/inertial/mass")
        assert float(link.get('value')) == pytest.approx(float(model.body_mass[body]))
    speeds = {name: arm.speed_limits[name] for name in scene.JOINTS}
    assert set(speeds.values()) == {MAX_JOINT_SPEED_RAD_PER_SEC}


def test_what_is_touched_is_touched_in_both(urdf):
    model = scene.build_arm_model()
    touched = {model.geom(i).name for i in range(model.ngeom) if model.geom_contype[i]}
    assert {each.get('name') for each in urdf.iter('collision')} == touched


def test_every_joint_has_an_interface_and_a_controller(urdf):
    driven = [each.get('name') for each in urdf.findall('ros2_control/joint')]
    assert driven == [*scene.JOINTS, *FINGER_JOINTS]
    assert all(
        each.find('command_interface').get('name') == 'position'
        for each in urdf.findall('ros2_control/joint')
    )
    files = yaml.safe_load((FOLDER / 'controllers.yaml').read_text())
    controllers = {
        name: files[f'/**/{name}']['ros__parameters']
        for name in ('arm_controller', 'gripper_controller')
    }
    manager = files['/**/controller_manager']['ros__parameters']
    assert {name for name, each in manager.items() if isinstance(each, dict)} == {
        *controllers, 'joint_state_broadcaster',
    }  # fmt: skip
    assert [name for each in controllers.values() for name in each['joints']] == driven
    assert {each['interface_name'] for each in controllers.values()} == {'position'}
    reported = files['/**/joint_state_broadcaster']['ros__parameters']['joints']
    assert reported == [*scene.JOINTS, scene.FINGER_JOINT]


def test_objects_lie_where_the_simulator_has_them(sdf):
    objects = TabletopWorld().state.objects
    for name, pose in objects.items():
        values = [float(each) for each in sdf.find(f".//model[@name='{name}']/pose").text.split()]
        np.testing.assert_allclose(values[:3], pose.position, atol=1e-9)
        assert values[5] == pytest.approx(pose.yaw_rad, abs=1e-9)


def test_names_and_systems_are_known(sdf):
    names = Counter(each.get('name') for each in sdf.findall('world/model'))
    assert max(names.values()) == 1
    assert set(scene.OBJECTS) <= set(names)
    plugins = {each.get('filename'): each.get('name') for each in sdf.iter('plugin')}
    assert plugins == SYSTEMS
    poses = [each for each in sdf.iter('plugin') if 'pose-publisher' in each.get('filename')]
    assert len(poses) == len(scene.OBJECTS)


def test_the_front_camera_stands_where_it_does(sdf, urdf):
    world = TabletopWorld()
    with CameraRig(world.model) as rig:
        wanted = rig.pose(world.data, 'front')
    pose = [float(x) for x in sdf.find(".//model[@name='front_camera']/pose").text.split()]
    origin = urdf.find("joint[@name='base_link_to_front_camera_frame']/origin")
    np.testing.assert_allclose(pose[:3], wanted.position, atol=1e-9)
    assert [float(x) for key in ('xyz', 'rpy') for x in origin.get(key).split()] == pose


def cameras(sdf, urdf):
    """Return the sensors by topic."""
    return {each.find('topic').text: each for root in (sdf, urdf) for each in root.iter('sensor')}


@pytest.mark.parametrize(
    ('topic', 'view', 'frame'),
    [
        ('image_raw', scene.FRONT, scene.FRONT.frame),
        ('wrist/image_raw', scene.WRIST, scene.WRIST.frame),
        # Gazebo's clouds have the axes of the camera: x forward.
        ('front_depth', scene.FRONT, 'front_camera_frame'),
    ],
)
def test_cameras_see_what_the_simulator_shows(sdf, urdf, topic, view, frame):
    """Gazebo counts pixels from their edge: its principal point is half a pixel farther."""
    from sara_ros.nodes.simulator import PARAMETERS

    sizes = {each.name: each.default for each in PARAMETERS}
    expected = {
        'image_raw': (sizes['front_width_px'], sizes['front_height_px']),
        'wrist/image_raw': (sizes['wrist_size_px'],) * 2,
        'front_depth': (sizes['points_width_px'], sizes['points_width_px'] * 3 // 4),
    }[topic]
    sensor = cameras(sdf, urdf)[topic]
    width, height = (int(sensor.find(f'camera/image/{each}').text) for each in ('width', 'height'))
    assert (width, height) == expected
    intrinsics = Intrinsics.from_fovy(view.fovy_deg, height, width)
    across = float(sensor.find('camera/horizontal_fov').text)
    assert width / 2 / math.tan(across / 2) == pytest.approx(intrinsics.fx, rel=1e-9)
    assert width / 2 == intrinsics.cx + 0.5
    assert sensor.find('camera/optical_frame_id').text == frame
    assert float(sensor.find('update_rate').text) == sizes['camera_rate_hz']


def test_the_bridge_names_types_that_exist(bridge, sdf, urdf):
    sensors = cameras(sdf, urdf)
    infos = {each.findtext('camera/camera_info_topic') for each in sensors.values()}
    offered = {'/world/tabletop/clock', *(f'/{name}' for name in (*sensors, *infos) if name)}
    offered |= {'/front_depth/points', *(f'/model/{name}/pose' for name in scene.OBJECTS)}
    for entry in bridge:
        assert set(entry) <= BRIDGE_KEYS
        assert GZ_TYPES[entry['ros_type_name']] == entry['gz_type_name']
        assert entry['gz_topic_name'] in offered
        assert entry['direction'] == 'GZ_TO_ROS'
        package, _, name = entry['ros_type_name'].split('/')
        pytest.importorskip(package)
        assert hasattr(importlib.import_module(f'{package}.msg'), name)
    assert len({entry['gz_topic_name'] for entry in bridge}) == len(bridge)


def test_topics_are_those_of_the_embedded_simulator(bridge, ros_context):
    """Names and types; objects and ee_pose come from the nodes beside the bridge."""
    from rclpy.node import Node

    from sara_ros.nodes.arm_driver import ArmDriverNode
    from sara_ros.nodes.gazebo_scene import GazeboSceneNode
    from sara_ros.nodes.parameters import declare
    from sara_ros.nodes.simulated_sensors import SimulatedSensors
    from sara_ros.nodes.simulator import PARAMETERS

    def told(node):
        """Return the topics a node publishes, with their types."""
        found = {
            publisher.topic_name.lstrip('/'): publisher.msg_type.__name__
            for publisher in node.publishers
        }
        node.destroy_node()
        return {name: found[name] for name in found if name not in ('rosout', 'parameter_events')}

    sensors = Node('sensors', context=ros_context)
    declare(sensors, PARAMETERS)
    SimulatedSensors(sensors)
    embedded = told(sensors)
    embedded |= {'clock': 'Clock', 'simulator/success': 'Bool'}
    ours = {
        entry['ros_topic_name'].lstrip('/'): entry['ros_type_name'].split('/')[-1]
        for entry in bridge
    }
    ours |= told(ArmDriverNode(context=ros_context))
    ours |= told(GazeboSceneNode(context=ros_context, placer=object()))
    ours['joint_states'] = 'JointState'  # joint_state_broadcaster
    assert {name: ours.get(name) for name in embedded} == embedded


def test_angles_survive_a_camera_that_looks_straight_down():
    for pitch in (math.pi / 2, -math.pi / 2, 0.3):
        half = np.array([math.cos(pitch / 2), 0, math.sin(pitch / 2), 0])
        matrix = np.empty(9)
        mujoco.mju_quat2Mat(matrix, half)
        np.testing.assert_allclose(rpy(matrix.reshape(3, 3)), [0, pitch, 0], atol=1e-6)
