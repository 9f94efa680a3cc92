"""Transforms from the parameters of a node, and from TF where that can be heard."""

from __future__ import annotations

from importlib import import_module
from typing import Any, Final

import numpy as np
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.time import Time

from sara_ros.core import ObservationError
from sara_ros.decoding.transforms import Matrix, StaticTransforms, pose_matrix

STATIC_TOPIC: Final = '/tf_static'
STATIC_QOS: Final = QoSProfile(
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
    history=HistoryPolicy.KEEP_LAST,
    depth=100,
)


class FrameWatch:
    """
    Looks frames up in the parameter ``static_transforms`` first, then in TF.

    With ``tf2_ros`` installed moving frames are found as well, at the stamp of the message.
    With ``tf2_msgs`` alone the fixed ones of ``/tf_static`` are; with neither, the parameter is
    all there is. ``source`` says which of the three it is.
    """

    def __init__(self, node: Node, transforms: StaticTransforms, *, listen: bool = True) -> None:
        """Listen to TF as far as this installation can; not at all without ``listen``."""
        self._node = node
        self._transforms = transforms
        self._buffer: Any = None
        self._listener: Any = None
        self._subscription: Any = None
        self.source = self._listen() if listen else 'static_transforms'

    def close(self) -> None:
        """Stop listening."""
        if self._listener is not None:
            self._listener.unregister()
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
        self._listener = self._subscription = self._buffer = None

    def lookup(self, target: str, source: str, stamp_ns: int = 0) -> Matrix | None:
        """
        Return the 4x4 transform from ``source`` to ``target``; ``None`` when they are the same.

        :raises ObservationError: when neither the parameter nor TF connects the frames.
        """
        try:
            return self._transforms.lookup(target, source)
        except ObservationError as err:
            if self._buffer is None:
                raise
            return self._from_buffer(target, source, stamp_ns, err)

    def _listen(self) -> str:
        try:
            tf2_ros = import_module('tf2_ros')
        except ImportError:
            return self._listen_to_static()
        self._buffer = tf2_ros.Buffer(node=self._node)
        self._listener = tf2_ros.TransformListener(self._buffer, self._node, spin_thread=False)
        return 'static_transforms and TF'

    def _listen_to_static(self) -> str:
        try:
            kind = import_module('tf2_msgs.msg').TFMessage
        except ImportError:
            return 'static_transforms'
        self._subscription = self._node.create_subscription(
            kind, STATIC_TOPIC, self._on_static, STATIC_QOS
        )
        return f'static_transforms and {STATIC_TOPIC}'

    def _on_static(self, message: Any) -> None:
        for each in message.transforms:
            try:
                self._transforms.hear(each.header.frame_id, each.child_frame_id, _pose(each))
            except ValueError as err:
                self._node.get_logger().warning(
                    f"{STATIC_TOPIC}: '{each.header.frame_id}' to '{each.child_frame_id}' is no "
                    f'pose: {err}'
                )

    def _from_buffer(
        self, target: str, source: str, stamp_ns: int, missing: ObservationError
    ) -> Matrix:
        time = Time(nanoseconds=stamp_ns, clock_type=self._node.get_clock().clock_type)
        try:
            return pose_matrix(_pose(self._buffer.lookup_transform(target, source, time)))
        except Exception as err:  # tf2 raises its own family, which this module cannot import
            raise ObservationError('frame', f'{missing}; TF says: {err}') from err


def _pose(stamped: Any) -> Any:
    place, turn = stamped.transform.translation, stamped.transform.rotation
    return np.array([place.x, place.y, place.z, turn.x, turn.y, turn.z, turn.w])
