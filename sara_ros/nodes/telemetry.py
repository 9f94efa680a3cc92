"""Gathers a policy's timing and status, publishes what they amount to, and exports both."""

from __future__ import annotations

import time
from typing import Any, Final

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.clock import Clock, ClockType
from rclpy.subscription import Subscription
from rclpy.timer import Timer

from sara_ros.core import STAGES
from sara_ros.core.health import CounterWindow
from sara_ros.core.timing_windows import CommandTiming, TimingWindows
from sara_ros.evaluation.exporter import ExportCounts
from sara_ros.nodes import qos
from sara_ros.nodes.parameters import value
from sara_ros.nodes.prometheus import MetricsServer, metrics_text
from sara_ros.nodes.ros_time import NS, to_ns, to_time
from sara_ros.nodes.telemetry_export import TelemetryExport, check_formats
from sara_ros.nodes.telemetry_parameters import Thresholds
from sara_ros.nodes.telemetry_report import diagnose, summarise
from sara_ros_msgs.msg import InferenceTiming, PolicyStatus, TimingSummary

EXPECTED_DROPS: Final = ('superseded', 'run_ended')
"""Reasons for which nothing is wrong: the newest observation is always preferred."""


def decode_timing(message: InferenceTiming) -> CommandTiming:
    """Return where the time of a command went."""
    stamp_ns, seen_ns = to_ns(message.header.stamp), to_ns(message.observation_stamp)
    return CommandTiming(
        model_id=message.model_id,
        attention_backend=message.attention_backend,
        sequence=int(message.sequence),
        stamp_sec=stamp_ns / NS,
        stages_ms={stage: to_ns(getattr(message, stage)) * 1e-6 for stage in STAGES},
        total_ms=to_ns(message.sensor_to_command) * 1e-6,
        observation_age_ms=None if message.hold else (stamp_ns - seen_ns) * 1e-6,
        warm_up=message.warm_up,
        hold=message.hold,
        later_step=message.later_step,
    )


class Telemetry:
    """
    The telemetry of one policy node, on behalf of ``node``.

    Summaries go out on ``~/timing`` and ``/diagnostics`` while it listens.
    """

    def __init__(self, node: Any) -> None:
        """Prepare; the parameters are those of ``telemetry_parameters``."""
        self._node = node
        self._inputs: list[Subscription] = []
        self._outputs: list[Any] = []
        self._timer: Timer | None = None
        self._export: TelemetryExport | None = None
        self._server: MetricsServer | None = None

    def configure(self) -> None:
        """
        Create the publishers and forget what was gathered before.

        :raises ParameterError: for thresholds in the wrong order or an unknown export format.
        """
        node = self._node
        self._limits = Thresholds.of(node)
        check_formats(node)
        self._windows = TimingWindows(value(node, 'window_commands'))
        self._recent = CounterWindow(value(node, 'health_window_sec'))
        self._status: PolicyStatus | None = None
        self._status_ns = self._alive_ns = 0
        self._usage = (PolicyStatus(), PolicyStatus())
        self._latest = TimingSummary()
        create = node.create_lifecycle_publisher
        self._summary = create(TimingSummary, '~/timing', qos.COMMAND)
        self._diagnostics = create(DiagnosticArray, '/diagnostics', qos.COMMAND)
        self._outputs = [self._summary, self._diagnostics]

    def listen(self) -> None:
        """
        Subscribe to the policy, and start the timer and the exports.

        :raises ParameterError: when the port of the metrics cannot be had.
        """
        node = self._node
        policy = node.resolve_topic_name(value(node, 'policy'))
        subscribe = node.create_subscription
        self._inputs = [
            subscribe(InferenceTiming, f'{policy}/timing', self.on_timing, qos.COMMAND),
            subscribe(PolicyStatus, f'{policy}/status', self.on_status, qos.LATCHED),
        ]
        if value(node, 'export_dir'):
            self._export = TelemetryExport(node, policy)
        if value(node, 'prometheus_port'):
            self._server = MetricsServer(value(node, 'prometheus_port'), self._metrics)
        self._timer = node.create_timer(
            value(node, 'summary_period_sec'),
            self._publish,
            clock=Clock(clock_type=ClockType.STEADY_TIME),
        )

    def ignore(self) -> None:
        """Stop listening, and finish the exports."""
        if self._timer is not None:
            self._node.destroy_timer(self._timer)
        for subscription in self._inputs:
            self._node.destroy_subscription(subscription)
        if self._server is not None:
            self._server.close()
        if self._export is not None:
            self._export.close()
        self._timer = self._server = self._export = None
        self._inputs.clear()

    def release(self) -> None:
        """Destroy the publishers."""
        for publisher in self._outputs:
            self._node.destroy_lifecycle_publisher(publisher)
        self._outputs.clear()

    def on_timing(self, message: InferenceTiming) -> None:
        """Take a command into account."""
        command = decode_timing(message)
        self._alive_ns = time.monotonic_ns()
        self._windows.add(command)
        if self._export is not None:
            self._export.command(command)

    def on_status(self, message: PolicyStatus) -> None:
        """Take a status into account."""
        now_ns = time.monotonic_ns()
        if message.instruction and not (self._status and self._status.instruction):
            self._alive_ns = now_ns
        self._status, self._status_ns = message, now_ns
        self._recent.add(now_ns / NS, _counters(message))

    def _publish(self) -> None:
        now_ns = time.monotonic_ns()
        status = self._status or PolicyStatus()
        self._usage = (self._usage[1], status)
        summary = summarise(self._windows, status, self._usage[0])
        age_sec = (now_ns - self._status_ns) / NS if self._status else None
        silent_sec = (now_ns - self._alive_ns) / NS if status.instruction else None
        report = diagnose(
            self._node.get_fully_qualified_name(),
            summary,
            self._status,
            self._recent,
            self._limits,
            age_sec=age_sec,
            silent_sec=silent_sec,
            export=self._export_counts(),
            folder=str(self._export.folder) if self._export else '',
        )
        self._latest = summary
        stamp = to_time(int(self._node.get_clock().now().nanoseconds))
        for publisher, message in ((self._summary, summary), (self._diagnostics, report)):
            message.header.stamp = stamp
            publisher.publish(message)

    def _export_counts(self) -> dict[str, ExportCounts]:
        return self._export.counts if self._export is not None else {}

    def _metrics(self) -> str:
        return metrics_text(self._latest, self._status or PolicyStatus(), self._export_counts())


def _counters(status: PolicyStatus) -> dict[str, float]:
    drops = zip(status.drop_reasons, status.drop_counts, strict=True)
    return {
        'observations': status.observations_received - status.observations_idle,
        'dropped': sum(count for reason, count in drops if reason not in EXPECTED_DROPS),
        'commands_published': status.commands_published,
        'holds': status.holds,
        'deadline_misses': status.deadline_misses,
        'periods': status.commands_published + status.deadline_misses,
    }
