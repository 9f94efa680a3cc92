"""Listens to a running graph and keeps what a report needs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
import time
from typing import Any, Final

from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from std_msgs.msg import Bool
from trajectory_msgs.msg import JointTrajectory

from sara_ros.core import STAGES
from sara_ros.decoding.images import Rgb, decode_image
from sara_ros.decoding.points import decode_picture
from sara_ros.evaluation.frame_ledger import FrameLedger
from sara_ros.evaluation.samples import CommandSample
from sara_ros.nodes import qos
from sara_ros.nodes.polled import PolledTopic
from sara_ros.nodes.ros_time import NS, to_ns
from sara_ros_msgs import msg

COUNTERS: Final = ('observations_received', 'holds', 'clipped_values', 'deadline_misses')
"""Counters of PolicyStatus that start again with every activation."""


class SessionRecorder:
    """
    Turns commands, timing, status and frames into samples and counts.

    ``episode`` is set by whoever runs the session. ``messages`` counts what arrived by topic.

    :param on_frame: receives every camera frame, ``(H, W, 3)`` uint8 RGB.
    :param clouds: take the colours of organised clouds for frames as well.
    """

    def __init__(
        self, node: Node, on_frame: Callable[[Rgb], None], *, clouds: bool = False
    ) -> None:
        """Subscribe to the graph."""
        self._started_ns = int(node.get_clock().now().nanoseconds)
        self._on_frame = on_frame
        self._samples: dict[tuple[int, int], CommandSample] = {}
        self._earlier: Counter[str] = Counter()
        self._latest: Counter[str] = Counter()
        # Taking or encoding a frame while the policy works on it would slow the policy down.
        self._unfilmed = 0
        self._pictures: list[tuple[PolledTopic, Callable[[Any], Rgb | None]]] = [
            (PolledTopic(node, Image, 'image_raw', qos.SENSOR), decode_image)
        ]
        if clouds:
            topic = PolledTopic(node, PointCloud2, 'points', qos.SENSOR)
            self._pictures.append((topic, decode_picture))
        self.started_sec = time.monotonic()
        self.episode = 0
        self.success = False
        self.status = msg.PolicyStatus()
        self.frames = FrameLedger()
        self.messages: Counter[str] = Counter()
        topics: list[tuple[type, str, Callable[[Any], None], Any]] = [
            (msg.EndEffectorAction, 'policy/action', self._on_action, qos.COMMAND),
            (JointTrajectory, 'policy/joint_trajectory', lambda _: None, qos.COMMAND),
            (msg.ActionChunk, 'policy/action_chunk', lambda _: None, qos.COMMAND),
            (msg.InferenceTiming, 'policy/timing', self._on_timing, qos.COMMAND),
            (msg.PolicyStatus, 'policy/status', self._on_status, qos.LATCHED),
            (Bool, 'simulator/success', self._on_success, qos.LATCHED),
            (CameraInfo, 'camera_info', self._on_camera_info, qos.SENSOR),
        ]
        self._subscriptions = [
            node.create_subscription(kind, topic, self._counted(topic, callback), profile)
            for kind, topic, callback, profile in topics
        ]

    @property
    def samples(self) -> list[CommandSample]:
        """Commands so far, in the order of their publication."""
        return sorted(self._samples.values(), key=lambda sample: sample.time_sec)

    @property
    def totals(self) -> Counter[str]:
        """Counters of all activations, and drops under ``dropped <reason>``."""
        return self._earlier + self._latest

    def samples_of(self, episode: int) -> list[CommandSample]:
        """Return the commands of one episode so far."""
        return [sample for sample in self.samples if sample.episode == episode]

    def _counted(self, topic: str, callback: Callable[[Any], None]) -> Callable[[Any], None]:
        def receive(message: Any) -> None:
            self.messages[topic] += 1
            callback(message)

        return receive

    def _on_action(self, message: msg.EndEffectorAction) -> None:
        key = (self.episode, int(message.sequence))
        if key not in self._samples:
            self._samples[key] = self._sample(message, hold=message.hold)

    def _on_timing(self, message: msg.InferenceTiming) -> None:
        if message.hold or message.later_step:
            return  # the action itself says as much
        stages_ms = {stage: to_ns(getattr(message, stage)) * 1e-6 for stage in STAGES}
        self._samples[self.episode, int(message.sequence)] = self._sample(
            message,
            warm_up=message.warm_up,
            stages_ms=stages_ms,
            total_ms=to_ns(message.sensor_to_command) * 1e-6,
        )
        self._film()

    def _sample(self, message: Any, **values: Any) -> CommandSample:
        defaults = {'warm_up': False, 'hold': False, 'stages_ms': {}, 'total_ms': None}
        return CommandSample(
            episode=self.episode,
            model_id=message.model_id,
            time_sec=(to_ns(message.header.stamp) - self._started_ns) / NS,
            sequence=int(message.sequence),
            **{**defaults, **values},
        )

    def _on_status(self, message: msg.PolicyStatus) -> None:
        self.status = message
        latest = Counter({name: getattr(message, name) for name in COUNTERS})
        latest.update(
            {
                f'dropped {reason}': count
                for reason, count in zip(message.drop_reasons, message.drop_counts, strict=True)
            }
        )
        if latest['observations_received'] < self._latest['observations_received']:
            self._earlier += self._latest
        self._latest = latest
        if message.driving_topic == 'image_raw':
            newest_ns = to_ns(message.newest_observation_stamp)
            self.frames.received(int(message.observations_received), newest_ns)

    def _on_success(self, message: Bool) -> None:
        self.success = message.data

    def _on_camera_info(self, message: CameraInfo) -> None:
        self.frames.published(to_ns(message.header.stamp), message.width, message.height)
        self._unfilmed += 1
        if self._unfilmed > 1:  # no command follows these frames
            self._film()

    def _film(self) -> None:
        """Hand out the newest frame."""
        self._unfilmed = 0
        for topic, decode in self._pictures:
            message = topic.newest()
            picture = decode(message) if message is not None else None
            if picture is not None:
                self._on_frame(picture)
