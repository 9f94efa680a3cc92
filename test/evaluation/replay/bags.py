"""Small real bags, written with rosbags, and a policy that reads them."""

from __future__ import annotations

import time

import numpy as np
from rosbags.interfaces import Nodetype
from rosbags.rosbag1 import Writer as Ros1Writer
from rosbags.rosbag2 import StoragePlugin
from rosbags.rosbag2 import Writer as Ros2Writer

from sara_ros.core import ActionChunk, ActionDimension, ActionSpec, ObservationSpec, PolicySpec
from sara_ros.core.spec import END_EFFECTOR_DIMENSIONS
from sara_ros.evaluation.replay.message_types import ros1_types, ros2_types

START_NS = 1_700_000_000_123_456_789
MS = 1_000_000
JOINTS = ('shoulder', 'elbow')
IMAGE = 'sensor_msgs/msg/Image'
JOINT_STATE = 'sensor_msgs/msg/JointState'
CLOUD = 'sensor_msgs/msg/PointCloud2'
ACTION = 'sara_ros_msgs/msg/EndEffectorAction'
TWIST = 'geometry_msgs/msg/TwistStamped'
POSE = 'geometry_msgs/msg/PoseStamped'
STRING = 'std_msgs/msg/String'
STATUS = 'sara_ros_msgs/msg/PolicyStatus'
CAMERA = ObservationSpec('front', 'image', (None, None, 3), 'rgb8', max_age_sec=0.5)
ARM = ObservationSpec('arm', 'joint_positions', (2,), 'rad', max_age_sec=0.5, names=JOINTS)
POINTS = ObservationSpec('points', 'points', (None, 3), 'm', 'base_link', max_age_sec=0.5)
EMPTY = np.zeros(0)


class Maker:
    """Makes messages of one of the two generations of ROS."""

    def __init__(self, store=None, *, ros1=False):
        self.store = store or (ros1_types() if ros1 else ros2_types())
        self.ros1 = ros1

    def new(self, kind, *values, **fields):
        return self.store.types[kind](*values, **fields)

    def default(self, kind, **given):
        """Return a message of zeros but for the fields that are given."""
        fields = self.store.fielddefs[kind][1]
        return self.store.types[kind](**{name: self._zero(*form) for name, form in fields} | given)

    def _zero(self, form, detail):
        if form == Nodetype.NAME:
            return self.default(detail)
        if form == Nodetype.BASE:
            return '' if detail[0] == 'string' else 0
        inner = detail[0]
        strings = inner[0] == Nodetype.NAME or inner[1][0] == 'string'
        return [] if strings else np.zeros(0, inner[1][0])

    def status(self, stamp_ns, instruction):
        """Return what a policy node says that it does."""
        return self.default(STATUS, header=self.header(stamp_ns), instruction=instruction)

    def header(self, stamp_ns, frame='base_link'):
        stamp = self.new('builtin_interfaces/msg/Time', stamp_ns // 10**9, stamp_ns % 10**9)
        numbers = (0,) if self.ros1 else ()
        return self.new('std_msgs/msg/Header', *numbers, stamp, frame)

    def image(
        self, stamp_ns, level=0, *, encoding='rgb8', height=4, width=6, step=None, data=None
    ):
        channels = {'rgb8': 3, 'bgr8': 3, 'mono8': 1}.get(encoding, 3)
        step = width * channels if step is None else step
        pixels = np.full(height * step, level % 256, np.uint8) if data is None else data
        return self.new(IMAGE, self.header(stamp_ns), height, width, encoding, 0, step, pixels)

    def joints(self, stamp_ns, positions, names=JOINTS):
        values = np.asarray(positions, np.float64)
        return self.new(JOINT_STATE, self.header(stamp_ns), list(names), values, EMPTY, EMPTY)

    def cloud(self, stamp_ns, points, *, stride=12, names='xyz'):
        field = 'sensor_msgs/msg/PointField'
        fields = [self.new(field, n, 4 * i, 7, 1) for i, n in enumerate(names)]
        rows = np.zeros((len(points), stride), np.uint8)
        rows[:, :12] = np.asarray(points, np.float32).view(np.uint8).reshape(len(points), 12)
        data = rows.reshape(-1)
        return self.new(
            CLOUD, self.header(stamp_ns), 1, len(points), fields, False, stride, len(data), data,
            False,
        )  # fmt: skip

    def vector(self, x, y, z):
        return self.new('geometry_msgs/msg/Vector3', float(x), float(y), float(z))

    def twist(self, stamp_ns, linear, angular=(0, 0, 0)):
        twist = self.new('geometry_msgs/msg/Twist', self.vector(*linear), self.vector(*angular))
        return self.new(TWIST, self.header(stamp_ns), twist)

    def pose(self, stamp_ns, position, quaternion=(0, 0, 0, 1)):
        point = self.new('geometry_msgs/msg/Point', *map(float, position))
        turn = self.new('geometry_msgs/msg/Quaternion', *map(float, quaternion))
        return self.new(
            POSE, self.header(stamp_ns), self.new('geometry_msgs/msg/Pose', point, turn)
        )

    def string(self, text):
        return self.new(STRING, text)

    def action(self, stamp_ns, x, *, gripper=1.0, hold=False, observed_ns=0):
        twist = self.new('geometry_msgs/msg/Twist', self.vector(x, 0, 0), self.vector(0, 0, 0))
        observed = self.new(
            'builtin_interfaces/msg/Time', observed_ns // 10**9, observed_ns % 10**9
        )
        return self.new(
            ACTION, header=self.header(stamp_ns), observation_stamp=observed, model_id='m',
            sequence=0, delta=twist, gripper_opening=gripper, terminate=False, hold=hold,
        )  # fmt: skip


MAKER = Maker()


def write_bag(path, messages, *, plugin=StoragePlugin.MCAP, store=None):
    """Write ``(topic, type, log_ns, message)`` as a rosbag2 folder and return it."""
    store = store or ros2_types()
    with Ros2Writer(path, version=9, storage_plugin=plugin) as writer:
        connections = {}
        for topic, kind, log_ns, message in messages:
            if (topic, kind) not in connections:
                connections[topic, kind] = writer.add_connection(topic, kind, typestore=store)
            data = message if isinstance(message, bytes) else store.serialize_cdr(message, kind)
            writer.write(connections[topic, kind], log_ns, data)
    return path


def write_ros1_bag(path, messages):
    """Write a ROS 1 bag of ``(topic, type, log_ns, message)`` and return it."""
    store = ros1_types()
    with Ros1Writer(path) as writer:
        connections = {}
        for topic, kind, log_ns, message in messages:
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, kind, typestore=store)
            writer.write(connections[topic], log_ns, store.serialize_ros1(message, kind))
    return path


def arm_messages(count=20, *, maker=MAKER, period_ms=50, delay_ms=5, level=lambda row: row):
    """Return a camera, joint states and joint commands at 20 Hz, in the order of recording."""
    rows = []
    for row in range(count):
        stamp_ns = START_NS + row * period_ms * MS
        log_ns = stamp_ns + delay_ms * MS
        state = (0.1 * row, -0.1 * row)
        rows += [
            ('/joint_states', JOINT_STATE, log_ns, maker.joints(stamp_ns, state)),
            ('/action', JOINT_STATE, log_ns, maker.joints(stamp_ns, np.add(state, 0.05))),
            ('/image_raw', IMAGE, log_ns + MS, maker.image(stamp_ns, level(row))),
        ]
    return rows


def joint_spec(*needs, horizon=1, rate_hz=20.0):
    """Return the spec of a policy with two joints."""
    dimensions = tuple(ActionDimension(name, 'rad', -5.0, 5.0) for name in JOINTS)
    action = ActionSpec('joint_positions', dimensions, '', rate_hz, horizon)
    return PolicySpec('toy', 'rt2', needs or (CAMERA, ARM), action, instructions=('move',))


def hand_spec(*needs, horizon=1, rate_hz=20.0):
    """Return the spec of a policy that moves an end effector."""
    dimensions = tuple(
        ActionDimension(
            name, 'm', 0.0 if index in (0, 7) else -0.1, 1.0 if index in (0, 7) else 0.1
        )
        for index, name in enumerate(END_EFFECTOR_DIMENSIONS)
    )
    action = ActionSpec('end_effector_delta', dimensions, 'base_link', rate_hz, horizon)
    return PolicySpec('toy', 'rt2', needs or (CAMERA,), action, instructions=('move',))


class ToyPolicy:
    """Answers with ``answer(observation)``, rows ``(horizon, dimensions)``; notes what it saw."""

    def __init__(self, spec=None, answer=None):
        self.spec = spec or joint_spec()
        self.answer = answer or (lambda observation: [observation['arm'] + 0.1])
        self.seen = []
        self.resets = 0

    def act(self, observation):
        self.seen.append(observation)
        timing = observation.timing.mark('preprocess', time.monotonic_ns())
        values = np.asarray(self.answer(observation), np.float32)
        return ActionChunk(values, timing.mark('inference', time.monotonic_ns()))

    def reset(self):
        self.resets += 1
