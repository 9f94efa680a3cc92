"""The model manager's view of a shadow run: a report, and a verdict by rule."""

from __future__ import annotations

from collections.abc import Callable
import time
from typing import Any, Final

import numpy as np
from rclpy.node import Node

from sara_ros.core.shadow import ShadowRecord, ShadowRules, ShadowSample, ShadowVerdict
from sara_ros.nodes import qos
from sara_ros.nodes.parameters import ParameterSpec, value
from sara_ros.nodes.ros_time import to_time
from sara_ros_msgs import msg

PARAMETERS: Final = (
    ParameterSpec('shadow_window_chunks', 200, 'Observations a shadow answers before the rule '
                  'judges it.', low=1, high=100_000),
    ParameterSpec('shadow_max_difference', 0.1, 'Largest p95 of its difference to the serving '
                  "model, as a share of the action's range.", low=0.0, high=2.0),
    ParameterSpec('shadow_max_latency_sec', 0.05, 'Largest p95 of the time a shadow takes.',
                  low=0.0, high=60.0),
    ParameterSpec('shadow_decide', False, 'Promote or discard a shadow as the rule says; '
                  'otherwise only on request.'),
)  # fmt: skip
REPORT_PERIOD_SEC: Final = 0.5


class ShadowWatch:
    """
    Sums up the shadow samples of a policy node on ``~/shadow_report``.

    :param decided: called once a shadow run, with the verdict and its grounds, where the
        parameter ``shadow_decide`` leaves it to the rule.
    """

    def __init__(self, node: Node, decided: Callable[[ShadowVerdict, str], None]) -> None:
        """Publish nothing yet."""
        self._node = node
        self._decided = decided
        self._record: ShadowRecord | None = None
        self._latest = msg.ShadowSample()
        self._verdict = ShadowVerdict.OPEN
        self._published_sec = 0.0
        self._publisher = node.create_publisher(msg.ShadowReport, '~/shadow_report', qos.COMMAND)
        self._subscription: Any = None

    def listen(self, policy: str) -> None:
        """Listen to the node ``policy``."""
        self._subscription = self._node.create_subscription(
            msg.ShadowSample, f'{policy}/shadow_sample', self._on_sample, qos.COMMAND
        )

    def ignore(self) -> None:
        """Stop listening."""
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
        self._subscription = self._record = None

    def on_swap_status(self, status: msg.SwapStatus) -> None:
        """Begin anew with every shadow run, and end with it."""
        if status.state == msg.SwapStatus.SHADOW:
            self._begin()
        elif self._record is not None:
            self.publish()
            self._record = None

    def publish(self) -> None:
        """Publish how far the run has come; nothing without one."""
        record = self._record
        if record is None:
            return
        verdict, text = record.verdict()
        mean, p95 = record.differences()
        latest = self._latest
        message = msg.ShadowReport(
            active=latest.active,
            candidate=latest.candidate,
            chunks=record.chunks,
            window_chunks=record.rules.window_chunks,
            errors=record.errors,
            skipped=latest.skipped,
            dimension_names=latest.dimension_names,
            dimension_units=latest.dimension_units,
            mean_difference=mean.tolist(),
            p95_difference=p95.tolist(),
            p95_difference_share=record.difference_share(),
            active_latency=_statistics(record, 'active'),
            candidate_latency=_statistics(record, 'candidate'),
            verdict=verdict.value,
            message=text,
        )
        message.header.stamp = to_time(int(self._node.get_clock().now().nanoseconds))
        self._publisher.publish(message)

    def _begin(self) -> None:
        self._published_sec = time.monotonic()
        self._verdict = ShadowVerdict.OPEN
        self._latest = msg.ShadowSample()
        self._record = ShadowRecord(
            ShadowRules(
                window_chunks=value(self._node, 'shadow_window_chunks'),
                max_difference=value(self._node, 'shadow_max_difference'),
                max_latency_sec=value(self._node, 'shadow_max_latency_sec'),
            )
        )

    def _on_sample(self, message: msg.ShadowSample) -> None:
        if self._record is None:
            return
        self._latest = message
        self._record.add(
            ShadowSample(
                difference=np.asarray(message.difference, np.float32),
                difference_share=message.difference_share,
                active_ms=message.active_ms,
                candidate_ms=message.candidate_ms,
                error=message.error,
            )
        )
        now_sec = time.monotonic()
        if now_sec - self._published_sec > REPORT_PERIOD_SEC:
            self._published_sec = now_sec
            self.publish()
        verdict, text = self._record.verdict()
        if self._verdict is not ShadowVerdict.OPEN or verdict is ShadowVerdict.OPEN:
            return
        self._verdict = verdict
        self._node.get_logger().info(f'shadow run, by rule {verdict.value}: {text}')
        self.publish()
        if value(self._node, 'shadow_decide'):
            self._decided(verdict, text)


def _statistics(record: ShadowRecord, name: str) -> msg.StageStatistics:
    latency = record.latency_ms(name)
    if latency is None:
        return msg.StageStatistics(stage='act')
    return msg.StageStatistics(
        stage='act',
        count=latency.count,
        p50_ms=latency.p50,
        p95_ms=latency.p95,
        p99_ms=latency.p99,
        max_ms=latency.max,
    )
