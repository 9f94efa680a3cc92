"""Listens to every command of a policy node, holds and later steps included."""

from __future__ import annotations

from rclpy.node import Node

from sara_ros.core import STAGES
from sara_ros.evaluation.samples import CommandSample
from sara_ros.nodes import qos
from sara_ros.nodes.ros_time import NS, to_ns
from sara_ros_msgs import msg


class CommandRecorder:
    """
    Keeps every command of a policy node as a sample, and its newest status.

    ``episode`` is set by whoever runs the session.
    """

    def __init__(self, node: Node) -> None:
        """Subscribe to the node ``policy``."""
        self._started_ns = int(node.get_clock().now().nanoseconds)
        self.samples: list[CommandSample] = []
        self.episode = 0
        self.status = msg.PolicyStatus()
        self._subscriptions = [
            node.create_subscription(msg.InferenceTiming, 'policy/timing', self._add, qos.COMMAND),
            node.create_subscription(msg.PolicyStatus, 'policy/status', self._note, qos.LATCHED),
        ]

    def _add(self, message: msg.InferenceTiming) -> None:
        timed = not (message.hold or message.later_step)
        self.samples.append(
            CommandSample(
                episode=self.episode,
                model_id=message.model_id,
                time_sec=(to_ns(message.header.stamp) - self._started_ns) / NS,
                sequence=int(message.sequence),
                warm_up=message.warm_up,
                stages_ms={s: to_ns(getattr(message, s)) * 1e-6 for s in STAGES} if timed else {},
                total_ms=to_ns(message.sensor_to_command) * 1e-6 if timed else None,
                hold=message.hold,
            )
        )

    def _note(self, message: msg.PolicyStatus) -> None:
        self.status = message
