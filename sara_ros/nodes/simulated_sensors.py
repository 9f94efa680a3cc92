"""Publishes what the tabletop's sensors see, as robot drivers would."""

from __future__ import annotations

from collections import Counter
from typing import Any

from geometry_msgs.msg import PoseStamped
import numpy as np
from rclpy.node import Node
from rclpy.publisher import Publisher
from sensor_msgs.msg import CameraInfo, Image, JointState, PointCloud2

from sara_ros.nodes import qos
from sara_ros.nodes.image_codec import camera_info, encode_image
from sara_ros.nodes.parameters import value
from sara_ros.nodes.points_codec import encode_points
from sara_ros.nodes.state_codec import encode_joint_state, encode_objects, encode_pose
from sara_ros.sim.cameras import CameraRig
from sara_ros.sim.points import depth_to_points
from sara_ros.sim.scene import (
    BASE_FRAME,
    FINGER_JOINT,
    FINGER_TRAVEL_M,
    FRONT,
    JOINTS,
    OBJECTS,
    WRIST,
    CameraView,
)  # fmt: skip
from sara_ros.sim.state import WorldState
from sara_ros.sim.world import TabletopWorld
from sara_ros_msgs.msg import ObjectStates


class SimulatedSensors:
    """
    Sensor topics of one world.

    Pictures and clouds are rendered only while somebody listens. ``published`` counts messages
    by topic. Topics are ``image_raw`` and ``camera_info`` (front), the same under ``wrist/``,
    ``points`` (front depth, coloured, optical frame), ``joint_states``, ``ee_pose`` and
    ``objects`` (ground truth).
    """

    def __init__(self, node: Node) -> None:
        """Create the publishers."""
        self._node = node
        self.published: Counter[str] = Counter()
        self._publishers: dict[str, Publisher] = {}
        for topic, kind in (
            ('image_raw', Image), ('camera_info', CameraInfo),
            ('wrist/image_raw', Image), ('wrist/camera_info', CameraInfo),
            ('points', PointCloud2), ('joint_states', JointState),
            ('ee_pose', PoseStamped), ('objects', ObjectStates),
        ):  # fmt: skip
            self._publishers[topic] = node.create_publisher(kind, topic, qos.SENSOR)
        self._front = (value(node, 'front_height_px'), value(node, 'front_width_px'))
        self._wrist = (value(node, 'wrist_size_px'),) * 2
        width = value(node, 'points_width_px')
        self._depth = (width * 3 // 4, width)

    def attach(self, world: TabletopWorld, rig: CameraRig) -> None:
        """Take the world to observe; called in the thread that renders."""
        self._world = world
        self._rig = rig

    def publish_joints(self, stamp_ns: int) -> None:
        """Publish the joint states."""
        self._publish_joints(self._world.state, stamp_ns)

    def publish_all(self, stamp_ns: int) -> None:
        """Publish every sensor; the front picture last, since it drives most policies."""
        state = self._world.state
        self._publish_joints(state, stamp_ns)
        self._publish(
            'ee_pose', encode_pose(state.ee.vector, stamp_ns=stamp_ns, frame_id=BASE_FRAME)
        )
        self._publish_objects(state, stamp_ns)
        self._publish_picture('wrist/', WRIST, self._wrist, stamp_ns)
        self._publish_points(stamp_ns)
        self._publish_picture('', FRONT, self._front, stamp_ns)

    def _publish_joints(self, state: WorldState, stamp_ns: int) -> None:
        positions = np.append(state.joint_positions, state.gripper_opening * FINGER_TRAVEL_M)
        self._publish(
            'joint_states',
            encode_joint_state((*JOINTS, FINGER_JOINT), positions, stamp_ns=stamp_ns),
        )

    def _publish_objects(self, state: WorldState, stamp_ns: int) -> None:
        if not self._wanted('objects'):
            return
        poses = np.stack([state.objects[name].vector for name in OBJECTS])
        self._publish(
            'objects', encode_objects(OBJECTS, poses, stamp_ns=stamp_ns, frame_id=BASE_FRAME)
        )

    def _publish_picture(
        self, prefix: str, view: CameraView, size: tuple[int, int], stamp_ns: int
    ) -> None:
        if not self._wanted(f'{prefix}image_raw'):
            return
        rgb = self._rig.rgb(self._world.data, view.name, *size)
        self._publish(
            f'{prefix}image_raw', encode_image(rgb, stamp_ns=stamp_ns, frame_id=view.frame)
        )
        intrinsics = self._rig.intrinsics(view.name, *size)
        self._publish(
            f'{prefix}camera_info',
            camera_info(
                width=size[1],
                height=size[0],
                intrinsics=(intrinsics.fx, intrinsics.fy, intrinsics.cx, intrinsics.cy),
                stamp_ns=stamp_ns,
                frame_id=view.frame,
            ),
        )

    def _publish_points(self, stamp_ns: int) -> None:
        if not self._wanted('points'):
            return
        rgb, depth = self._rig.rgb_depth(self._world.data, FRONT.name, *self._depth)
        intrinsics = self._rig.intrinsics(FRONT.name, *self._depth)
        points, colors = depth_to_points(depth, intrinsics, rgb)
        self._publish(
            'points', encode_points(points, colors, stamp_ns=stamp_ns, frame_id=FRONT.frame)
        )

    def _wanted(self, topic: str) -> bool:
        return self._publishers[topic].get_subscription_count() > 0

    def _publish(self, topic: str, message: Any) -> None:
        self._publishers[topic].publish(message)
        self.published[topic] += 1
