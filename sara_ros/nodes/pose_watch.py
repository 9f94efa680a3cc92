"""Tells the safety guard where the robot says its end effector is."""

from __future__ import annotations

import time

from geometry_msgs.msg import PoseStamped
from rclpy.exceptions import NameValidationException
from rclpy.node import Node

from sara_ros.core import ObservationError, ParameterError
from sara_ros.core.drops import DropCounter
from sara_ros.core.errors import describe
from sara_ros.core.guard import SafetyGuard
from sara_ros.decoding.observations import FUTURE_LIMIT_NS
from sara_ros.decoding.states import decode_pose
from sara_ros.nodes import qos
from sara_ros.nodes.ros_time import NS, to_ns


class PoseWatch:
    """
    Subscribes to the end-effector pose of the robot, ``geometry_msgs/PoseStamped``.

    Poses in another frame than the actions, from the future, or without numbers are counted in
    ``drops`` under ``ee_pose_<reason>``; the guard decides how old a pose may be.
    """

    def __init__(
        self, node: Node, topic: str, *, frame: str, guard: SafetyGuard, drops: DropCounter
    ) -> None:
        """
        Subscribe.

        :raises ParameterError: for a topic that has no valid name.
        """
        self._node = node
        self._frame = frame
        self._guard = guard
        self._drops = drops
        try:
            self._subscription = node.create_subscription(
                PoseStamped, topic, self._receive, qos.SENSOR
            )
        except NameValidationException as err:
            raise ParameterError(f"ee_pose_topic is '{topic}': {describe(err)}") from err

    def close(self) -> None:
        """Unsubscribe."""
        self._node.destroy_subscription(self._subscription)

    def _receive(self, message: PoseStamped) -> None:
        age_ns = self._node.get_clock().now().nanoseconds - to_ns(message.header.stamp)
        try:
            if message.header.frame_id != self._frame:
                raise ObservationError(
                    'frame',
                    f"the pose is in '{message.header.frame_id}' and the actions are in "
                    f"'{self._frame}'; publish it in that frame",
                )
            if -age_ns > FUTURE_LIMIT_NS:
                raise ObservationError('future', f'the pose is stamped {-age_ns / NS:.3f} s ahead')
            position_m = decode_pose(message)[:3]
        except ObservationError as err:
            self._drops.add(f'ee_pose_{err.reason}')
            self._node.get_logger().warning(
                f"'{self._subscription.topic_name}' dropped ({err.reason}): {err}",
                throttle_duration_sec=2.0,
            )
            return
        self._guard.saw_pose(position_m, time.monotonic_ns() - age_ns)
