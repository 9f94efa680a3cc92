"""What of a running graph is exported, and into which folder."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Final

from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import TwistStamped
from rclpy.qos import QoSProfile
from trajectory_msgs.msg import JointTrajectory

from sara_ros.core import ParameterError
from sara_ros.evaluation.exporter import FORMATS, ExportCounts, Exporter
from sara_ros.evaluation.machine import describe_machine
from sara_ros.nodes import qos
from sara_ros.nodes.parameters import value
from sara_ros.nodes.topic_tap import TopicTap
from sara_ros_msgs.msg import (
    ActionChunk,
    EndEffectorAction,
    InferenceTiming,
    PolicyStatus,
    ShadowReport,
    ShadowSample,
    SwapStatus,
    TimingSummary,
)

EXPORTED: Final[tuple[tuple[type, str, QoSProfile], ...]] = (
    (InferenceTiming, 'timing', qos.COMMAND),
    (PolicyStatus, 'status', qos.LATCHED),
    (EndEffectorAction, 'action', qos.COMMAND),
    (ActionChunk, 'action_chunk', qos.COMMAND),
    (TwistStamped, 'twist_cmd', qos.COMMAND),
    (JointTrajectory, 'joint_trajectory', qos.COMMAND),
    (EndEffectorAction, 'dry_run/action', qos.COMMAND),
    (TwistStamped, 'dry_run/twist_cmd', qos.COMMAND),
    (JointTrajectory, 'dry_run/joint_trajectory', qos.COMMAND),
    (SwapStatus, 'swap_status', qos.EACH_STATE),
    (ShadowSample, 'shadow_sample', qos.COMMAND),
    (ShadowReport, '~/shadow_report', qos.COMMAND),
    (TimingSummary, '~/timing', qos.COMMAND),
    (DiagnosticArray, '/diagnostics', qos.COMMAND),
)
"""Topics of the policy node, with a tilde those of the manager."""


def resolved(name: str, policy: str, manager: str) -> str:
    """Return a name of ``EXPORTED`` with the names of the nodes, which have their namespaces."""
    if name.startswith('/'):
        return name
    return f'{manager}{name[1:]}' if name.startswith('~') else f'{policy}/{name}'


def check_formats(node: Any) -> None:
    """
    Check the parameter ``export_formats``.

    :raises ParameterError: for a format that is not known.
    """
    for name in value(node, 'export_formats'):
        if name not in FORMATS:
            raise ParameterError(
                f"parameter 'export_formats' holds '{name}'; use {' and '.join(FORMATS)}"
            )


class TelemetryExport:
    """
    The export of one activation of ``node`` into a new folder below ``export_dir``.

    :param policy: name of the policy node, with its namespace.
    :raises ParameterError: when the definition of a message is not installed.
    """

    def __init__(self, node: Any, policy: str) -> None:
        """Start to record."""
        now = datetime.now(timezone.utc)
        manager = node.get_fully_qualified_name()
        self._exporter = Exporter(
            Path(value(node, 'export_dir')) / now.strftime('%Y-%m-%dT%H-%M-%S-%f'),
            value(node, 'export_formats'),
            {
                'created': now.isoformat(timespec='seconds'),
                'policy': policy,
                'manager': manager,
                'machine': describe_machine(),
            },
            flush_sec=value(node, 'export_flush_sec'),
        )
        self.folder = self._exporter.folder
        self.command = self._exporter.command
        self._tap: TopicTap | None = None
        if 'mcap' in value(node, 'export_formats'):
            topics = [
                (kind, resolved(name, policy, manager), profile)
                for kind, name, profile in EXPORTED
            ]
            try:
                self._tap = TopicTap(node, topics, self._exporter.message)
            except ParameterError:
                self._exporter.close()
                raise
        self._log = node.get_logger()
        self._log.info(f'exporting to {self.folder}')

    @property
    def counts(self) -> dict[str, ExportCounts]:
        """What became of what was recorded, by format."""
        return self._exporter.counts

    def close(self) -> None:
        """Write what has arrived, and close the files."""
        if self._tap is not None:
            self._tap.close()
        self._exporter.close()
        for name, counts in self.counts.items():
            missing = counts.held + counts.lost
            if missing:
                self._log.error(
                    f'{missing} items of the {name} export were not written: {counts.error}; '
                    "check the space below parameter 'export_dir'"
                )
