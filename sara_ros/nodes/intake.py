"""Subscribes to what a policy's spec asks for and fills its observation buffer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
import time
from typing import Any, Final

from geometry_msgs.msg import PoseStamped
from rclpy.exceptions import NameValidationException
from rclpy.node import Node
from rclpy.subscription import Subscription
from sensor_msgs.msg import CompressedImage, Image, JointState, PointCloud2

from sara_ros.core import ObservationError, ObservationSpec, ParameterError, PolicySpec
from sara_ros.core.drops import DropCounter
from sara_ros.core.errors import describe
from sara_ros.core.observation_buffer import ObservationBuffer, Sample
from sara_ros.decoding.observations import FUTURE_LIMIT_NS, check_stamp, decode
from sara_ros.decoding.transforms import Transforms
from sara_ros.nodes import qos
from sara_ros.nodes.polled import PolledTopic
from sara_ros.nodes.ros_time import NS, to_ns
from sara_ros_msgs.msg import ObjectStates

LOG_PERIOD_SEC: Final = 2.0
STATES: Final = ('joint_positions', 'pose', 'object_poses')
"""Kinds of small messages at a high rate; they are looked at when a driver needs them."""


def message_type(need: ObservationSpec, topic: str) -> type:
    """Return the message type of a need; topics that end in ``compressed`` hold such images."""
    if need.kind == 'image':
        return CompressedImage if topic.endswith('compressed') else Image
    types: dict[str, type] = {
        'points': PointCloud2, 'joint_positions': JointState,
        'pose': PoseStamped, 'object_poses': ObjectStates,
    }  # fmt: skip
    return types[need.kind]


class SensorIntake:
    """
    Decodes sensor messages into the buffer while a run wants them.

    Pictures and clouds are decoded as they arrive, and the spec's first need drives. States are
    polled when a driver needs one, so that a fast publisher costs the model no time.
    Messages that arrive without a run are counted as idle and not decoded. Every message that
    cannot be used is counted by reason and logged with what to change, at most once per
    ``LOG_PERIOD_SEC`` and reason.
    """

    def __init__(
        self,
        node: Node,
        spec: PolicySpec,
        buffer: ObservationBuffer,
        drops: DropCounter,
        *,
        topics: Mapping[str, str],
        transforms: Transforms,
        wanted: Callable[[], bool],
    ) -> None:
        """
        Subscribe to one topic per need; needs on the same topic share a subscription.

        :raises ParameterError: for a topic that has no valid name, or would need two types.
        """
        self._node = node
        self._spec = spec
        self._buffer = buffer
        self._drops = drops
        self._transforms = transforms
        self._wanted = wanted
        self._logged_ns: dict[str, int] = {}
        self.driving_topic = topics[spec.driver.name]
        self.received = 0
        self.newest_stamp_ns = 0
        self.idle = 0
        by_topic: dict[str, list[ObservationSpec]] = {}
        for need in spec.observations:
            by_topic.setdefault(topics[need.name], []).append(need)
        self._subscriptions: list[Subscription] = []
        self._polled: list[tuple[PolledTopic, list[ObservationSpec]]] = []
        try:
            for topic, sharing in by_topic.items():
                self._subscribe(topic, sharing)
        except ParameterError:
            self.close()
            raise
        buffer.poll_with(self._poll)

    def close(self) -> None:
        """Unsubscribe."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        for topic, _ in self._polled:
            topic.close()
        self._subscriptions.clear()
        self._polled.clear()

    def _subscribe(self, topic: str, needs: list[ObservationSpec]) -> None:
        types = {message_type(need, topic) for need in needs}
        names = ', '.join(f'topics.{need.name}' for need in needs)
        if len(types) > 1:
            found = ' and '.join(sorted(kind.__name__ for kind in types))
            raise ParameterError(f"{names}: '{topic}' cannot be of type {found} at once")
        kind = types.pop()
        try:
            if all(need.kind in STATES and need is not self._spec.driver for need in needs):
                self._polled.append((PolledTopic(self._node, kind, topic, qos.STATE), needs))
            else:
                self._subscriptions.append(
                    self._node.create_subscription(kind, topic, self._callback(needs), qos.SENSOR)
                )
        except NameValidationException as err:
            raise ParameterError(f"{names} is '{topic}': {describe(err)}") from err

    def _callback(self, needs: list[ObservationSpec]) -> Callable[[Any], None]:
        drives = any(need.name == self._spec.driver.name for need in needs)

        def receive(message: Any) -> None:
            received_ns, now_ns = time.monotonic_ns(), self._node.get_clock().now().nanoseconds
            if drives:
                self.received += 1
                self.newest_stamp_ns = to_ns(message.header.stamp)
            if not self._wanted():
                self.idle += drives
                return
            for need in needs:
                self._store(need, message, received_ns, now_ns)
            if not drives:
                # Its simultaneous states are there by now, and the driver is not yet.
                self._buffer.poll(to_ns(message.header.stamp))

        return receive

    def _poll(self, until_ns: int) -> None:
        """Add the newest good state of each polled topic that is not newer than ``until_ns``."""
        received_ns, now_ns = time.monotonic_ns(), self._node.get_clock().now().nanoseconds
        for topic, needs in self._polled:
            for message in topic.newest_first(until_ns, now_ns + FUTURE_LIMIT_NS):
                stored = [self._store(need, message, received_ns, now_ns) for need in needs]
                if all(stored):
                    break

    def _store(self, need: ObservationSpec, message: Any, received_ns: int, now_ns: int) -> bool:
        """Decode one value for the buffer; False, counted by reason, if it cannot be used."""
        stamp_ns = to_ns(message.header.stamp)
        try:
            check_stamp(need, stamp_ns, now_ns)
            value = decode(need, message, self._transforms)
        except ObservationError as err:
            self._refuse(need, err)
            return False
        except Exception as err:  # no message may end the process
            self._refuse(need, ObservationError('undecodable', describe(err)))
            return False
        value.flags.writeable = False
        self._buffer.add(need.name, Sample(value, stamp_ns, now_ns, received_ns))
        return True

    def _refuse(self, need: ObservationSpec, err: ObservationError) -> None:
        self._drops.add(err.reason)
        now_ns = time.monotonic_ns()
        if now_ns - self._logged_ns.get(err.reason, -NS * 60) > LOG_PERIOD_SEC * NS:
            self._logged_ns[err.reason] = now_ns
            self._node.get_logger().warning(f"'{need.name}' dropped ({err.reason}): {err}")
