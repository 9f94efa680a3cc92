"""A session as a bag: what a policy saw, what it was told and what it did."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from geometry_msgs.msg import PoseStamped, TwistStamped
from rclpy.node import Node
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image, JointState, PointCloud2
from std_msgs.msg import Bool
from trajectory_msgs.msg import JointTrajectory

from sara_ros.core.errors import describe
from sara_ros.evaluation.mcap_log import McapLog, Topic
from sara_ros.nodes import qos
from sara_ros.nodes.topic_tap import TopicTap
from sara_ros_msgs import msg

RECORDED: Final[tuple[tuple[Any, str, QoSProfile], ...]] = (
    (Image, 'image_raw', qos.SENSOR),
    (Image, 'wrist/image_raw', qos.SENSOR),
    (PointCloud2, 'points', qos.SENSOR),
    (JointState, 'joint_states', qos.SENSOR),
    (PoseStamped, 'ee_pose', qos.SENSOR),
    (msg.ObjectStates, 'objects', qos.SENSOR),
    (msg.EndEffectorAction, 'policy/action', qos.COMMAND),
    (TwistStamped, 'policy/twist_cmd', qos.COMMAND),
    (JointTrajectory, 'policy/joint_trajectory', qos.COMMAND),
    (msg.InferenceTiming, 'policy/timing', qos.COMMAND),
    (msg.PolicyStatus, 'policy/status', qos.LATCHED),
    (Bool, 'simulator/success', qos.LATCHED),
)
FLUSH_BYTES: Final = 4_000_000


class SessionBag:
    """
    Records the topics of ``RECORDED`` into one MCAP file, which is complete after every flush.

    ``problem`` says why nothing more was recorded; empty while all is well.

    :param node: whose context and namespace are used.
    :raises OSError: when the file cannot be created or is there already.
    :raises ParameterError: when the definition of a message is not installed.
    """

    def __init__(self, node: Node, path: Path) -> None:
        """Start to record."""
        self._path = path
        self._log = McapLog(path)
        self._waiting = 0
        self.problem = ''
        topics = [
            (kind, node.resolve_topic_name(name), profile) for kind, name, profile in RECORDED
        ]
        self._tap = TopicTap(node, topics, self._add)

    def __enter__(self) -> SessionBag:
        """Return the bag."""
        return self

    def __exit__(self, *_: object) -> None:
        """Record what has arrived, and close the file."""
        self._tap.close()
        self._flush()
        self._log.close()

    def _add(self, topic: Topic, at_ns: int, data: bytes) -> None:
        if self.problem:
            return
        self._log.add(topic, at_ns, data)
        self._waiting += len(data)
        if self._waiting >= FLUSH_BYTES:
            self._flush()

    def _flush(self) -> None:
        try:
            self._log.flush()
        except OSError as err:  # a session does not end because a disk is full
            self.problem = f'{self._path.name} ends early: {describe(err)}'
        self._waiting = 0
