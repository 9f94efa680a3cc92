"""The sensors that a model asks for, at a steady rate without drift."""

from __future__ import annotations

from threading import Event, Thread
import time

from geometry_msgs.msg import PoseStamped
import numpy as np
from sensor_msgs.msg import Image, JointState

from sara_ros.nodes import qos
from sara_ros.nodes.image_codec import encode_image
from sara_ros.nodes.ros_time import to_time
from sara_ros.nodes.state_codec import encode_pose

POSE = np.array([0.4, 0, 0.2, 0, 0, 0, 1], np.float32)


class Sensors:
    """
    Publishes one or two cameras, a pose and a finger on a thread of its own.

    The first camera drives and comes last, so that its partners of the same instant are there.
    """

    def __init__(self, station, *, rate_hz=20.0, wrist=False):
        self._rate_hz = rate_hz
        self._pose = station.publisher(PoseStamped, 'ee_pose', qos.SENSOR)
        self._joints = station.publisher(JointState, 'joint_states', qos.SENSOR)
        self._front = station.publisher(Image, 'image_raw', qos.SENSOR)
        self._wrist = station.publisher(Image, 'wrist/image_raw', qos.SENSOR) if wrist else None
        self._stopping = Event()
        self._thread = Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stopping.set()
        self._thread.join()

    def _run(self):
        due = time.monotonic()
        while not self._stopping.wait(max(0.0, due - time.monotonic())):
            self._publish(time.time_ns())
            due += 1 / self._rate_hz

    def _publish(self, now_ns):
        joints = JointState(name=['finger_joint'], position=[0.02])
        joints.header.stamp = to_time(now_ns)
        self._joints.publish(joints)
        self._pose.publish(encode_pose(POSE, stamp_ns=now_ns, frame_id='base_link'))
        grey = np.full((120, 160, 3), 128, np.uint8)
        if self._wrist is not None:
            self._wrist.publish(encode_image(grey, stamp_ns=now_ns, frame_id='wrist'))
        self._front.publish(encode_image(grey, stamp_ns=now_ns, frame_id='front'))
