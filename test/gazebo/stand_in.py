"""MuJoCo behind the topics of a Gazebo world, its bridge and its controllers."""

from __future__ import annotations

from threading import Lock
import time

from geometry_msgs.msg import TransformStamped
import mujoco
from rclpy.node import Node
from rclpy.task import Future
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray

from sara_ros.nodes import qos
from sara_ros.nodes.ros_time import to_time
from sara_ros.nodes.state_codec import encode_joint_state
from sara_ros.sim.arm_description import HOME_JOINTS
from sara_ros.sim.scene import COLORS, DISC, FINGER_JOINT, JOINTS, OBJECTS, build_model

FINGERS = (FINGER_JOINT, f'{FINGER_JOINT}_mimic')


class StandIn(Node):
    """Obeys the position controllers of ``controllers.yaml`` and tells what the bridge tells."""

    def __init__(self, **kwargs):
        super().__init__('stand_in', **kwargs)
        self._model = build_model()
        self._data = mujoco.MjData(self._model)
        self._lock = Lock()
        self._addresses = {
            name: int(self._model.joint(name).qposadr[0]) for name in (*JOINTS, *FINGERS, *COLORS)
        }
        for name, value in zip(JOINTS, HOME_JOINTS, strict=True):
            self._data.qpos[self._addresses[name]] = value
        self._data.ctrl[:7] = HOME_JOINTS
        self._data.ctrl[7] = 0.04
        self._joints = self.create_publisher(JointState, 'joint_states', qos.COMMAND)
        self._poses = self.create_publisher(TransformStamped, 'object_poses', qos.COMMAND)
        self._inputs = [
            self.create_subscription(Float64MultiArray, topic, obey, qos.COMMAND)
            for topic, obey in (
                ('arm_controller/commands', self._on_arm),
                ('gripper_controller/commands', self._on_gripper),
            )
        ]
        self._ticks = 0
        self.commands = 0
        self._timer = self.create_timer(0.01, self._tick)

    def place(self, poses):
        """Move objects, as ``set_pose`` does."""
        with self._lock:
            for name, pose in poses.items():
                x, y, z, w = pose.quaternion
                if name == DISC:
                    self._data.mocap_pos[0] = pose.position
                    continue
                start = self._addresses[name]
                self._data.qpos[start : start + 7] = (*pose.position, w, x, y, z)
                speed = int(self._model.joint(name).dofadr[0])
                self._data.qvel[speed : speed + 6] = 0
        done = Future()
        done.set_result(type('Response', (), {'success': True}))
        return [done]

    def _on_arm(self, message):
        assert len(message.data) == 7
        self.commands += 1
        self._data.ctrl[:7] = message.data

    def _on_gripper(self, message):
        assert len(message.data) == 2
        self._data.ctrl[7] = message.data[0]

    def _tick(self):
        with self._lock:
            for _ in range(4):
                mujoco.mj_step(self._model, self._data)
        stamp_ns = time.time_ns()
        names = (*JOINTS, FINGERS[0])
        positions = [self._data.qpos[self._addresses[name]] for name in names]
        self._joints.publish(encode_joint_state(names, positions, stamp_ns=stamp_ns))
        self._ticks += 1
        if self._ticks % 5 == 0:
            for name in OBJECTS:
                self._poses.publish(self._pose(name, stamp_ns))

    def _pose(self, name, stamp_ns):
        message = TransformStamped(child_frame_id=name)
        message.header.stamp = to_time(stamp_ns)
        message.header.frame_id = 'tabletop'
        body = self._data.body(name)
        place, turn = message.transform.translation, message.transform.rotation
        place.x, place.y, place.z = (float(each) for each in body.xpos)
        turn.w, turn.x, turn.y, turn.z = (float(each) for each in body.xquat)
        return message
