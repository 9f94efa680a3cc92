"""Publishes the models of a folder, verified, whenever they change."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.task import Future

from sara_ros.nodes import qos
from sara_ros.nodes.deferred import in_background
from sara_ros.nodes.model_codec import describe_verified
from sara_ros.nodes.parameters import ParameterSpec, value
from sara_ros.nodes.ros_time import to_time
from sara_ros.policies.watched_folder import WatchedFolder
from sara_ros_msgs.msg import ModelList

PARAMETERS: Final = (
    ParameterSpec('watch_period_sec', 1.0, 'Time between two looks at the models folder.',
                  low=0.05, high=3600.0),
)  # fmt: skip


class ModelsWatch:
    """Looks at a folder now and then and publishes its models on ``~/models``, latched."""

    def __init__(self, node: Node) -> None:
        """Watch nothing yet."""
        self._node = node
        self._publisher = node.create_publisher(ModelList, '~/models', qos.LATCHED)
        self._folder: WatchedFolder | None = None
        self._timer: Any = None
        self._verifying: Future | None = None

    def start(self, models_dir: Path) -> None:
        """Watch ``models_dir``."""
        self._folder = WatchedFolder(models_dir)
        self._verifying = None
        self._timer = self._node.create_timer(
            value(self._node, 'watch_period_sec'),
            self._look,
            clock=Clock(clock_type=ClockType.STEADY_TIME),
        )

    def ignore(self) -> None:
        """Watch no more."""
        if self._timer is not None:
            self._node.destroy_timer(self._timer)
        self._timer = self._folder = None

    def _look(self) -> None:
        folder = self._folder
        if folder is None or (self._verifying is not None and not self._verifying.done()):
            return
        if self._verifying is not None:
            self._verifying = None
            self._publish(folder)
        changed = folder.look()
        if folder.forget_missing():
            self._publish(folder)
        if changed:
            self._verifying = in_background(self._node, lambda: folder.verify(changed))
            self._verifying.add_done_callback(lambda _: self._look())

    def _publish(self, folder: WatchedFolder) -> None:
        message = ModelList(
            folder=str(folder.models_dir),
            models=[describe_verified(model) for model in folder.models()],
        )
        message.header.stamp = to_time(int(self._node.get_clock().now().nanoseconds))
        self._publisher.publish(message)
