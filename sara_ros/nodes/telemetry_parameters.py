"""Parameters of the telemetry, and the thresholds of ``/diagnostics`` among them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from rclpy.node import Node

from sara_ros.core.health import Limit
from sara_ros.nodes.parameters import ParameterSpec, value

PARAMETERS: Final = (
    ParameterSpec('window_commands', 1000, 'Commands of each model that the percentiles cover.',
                  low=10, high=100_000),
    ParameterSpec('summary_period_sec', 1.0, 'Time between summaries and diagnostics.',
                  low=0.1, high=60.0),
    ParameterSpec('stale_sec', 2.0, 'Without a status for so long the policy is stale, and '
                  'without a command in a run its timing.', low=0.1, high=60.0),
    ParameterSpec('health_window_sec', 10.0, 'Time over which shares of commands and observations '
                  'are judged.', low=1.0, high=600.0),
    ParameterSpec('warn_latency_sec', 0.1, 'Sensor-to-command p95 above this is a warning; 0: '
                  'none.', low=0.0, high=10.0),
    ParameterSpec('error_latency_sec', 0.5, 'Sensor-to-command p95 above this is an error; 0: '
                  'none.', low=0.0, high=60.0),
    ParameterSpec('warn_observation_age_sec', 0.2, 'Observation age p95 above this is a warning; '
                  '0: none.', low=0.0, high=10.0),
    ParameterSpec('error_observation_age_sec', 0.5, 'Observation age p95 above this is an error; '
                  '0: none.', low=0.0, high=60.0),
    ParameterSpec('warn_rate_shortfall_percent', 5.0, 'Command rate so much below that of the '
                  'model is a warning; 0: none.', low=0.0, high=100.0),
    ParameterSpec('error_rate_shortfall_percent', 20.0, 'Command rate so much below that of the '
                  'model is an error; 0: none.', low=0.0, high=100.0),
    ParameterSpec('warn_deadline_miss_percent', 1.0, 'Share of command periods that began late '
                  'above this is a warning; 0: none.', low=0.0, high=100.0),
    ParameterSpec('error_deadline_miss_percent', 10.0, 'Share of command periods that began late '
                  'above this is an error; 0: none.', low=0.0, high=100.0),
    ParameterSpec('warn_hold_percent', 20.0, 'Share of commands that hold above this is a '
                  'warning; 0: none.', low=0.0, high=100.0),
    ParameterSpec('error_hold_percent', 60.0, 'Share of commands that hold above this is an '
                  'error; 0: none.', low=0.0, high=100.0),
    ParameterSpec('warn_drop_percent', 10.0, 'Share of observations dropped above this is a '
                  'warning, superseded ones left out; 0: none.', low=0.0, high=100.0),
    ParameterSpec('error_drop_percent', 50.0, 'Share of observations dropped above this is an '
                  'error, superseded ones left out; 0: none.', low=0.0, high=100.0),
    ParameterSpec('warn_cpu_percent', 0.0, 'CPU of the policy process above this is a warning, '
                  'percent of one core; 0: none.', low=0.0, high=100_000.0),
    ParameterSpec('error_cpu_percent', 0.0, 'CPU of the policy process above this is an error, '
                  'percent of one core; 0: none.', low=0.0, high=100_000.0),
    ParameterSpec('warn_memory_mib', 4096.0, 'Resident memory of the policy process above this is '
                  'a warning; 0: none.', low=0.0, high=1e7),
    ParameterSpec('error_memory_mib', 8192.0, 'Resident memory of the policy process above this '
                  'is an error; 0: none.', low=0.0, high=1e7),
    ParameterSpec('warn_gpu_memory_mib', 0.0, 'GPU memory of the policy process above this is a '
                  'warning; 0: none.', low=0.0, high=1e7),
    ParameterSpec('error_gpu_memory_mib', 0.0, 'GPU memory of the policy process above this is an '
                  'error; 0: none.', low=0.0, high=1e7),
    ParameterSpec('export_dir', '', 'Folder that gets a folder of telemetry for each activation; '
                  'empty: no export.'),
    ParameterSpec('export_formats', ['csv', 'mcap'], 'What to export: csv, mcap.'),
    ParameterSpec('export_flush_sec', 1.0, 'Time between flushes; so much is lost when the '
                  'process is killed.', low=0.1, high=10.0),
    ParameterSpec('prometheus_port', 0, 'Port of the Prometheus text endpoint on 127.0.0.1; 0: '
                  'none.', low=0, high=65_535),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Thresholds:
    """What is a warning and what an error; ages and latencies are p95."""

    latency_sec: Limit
    observation_age_sec: Limit
    rate_shortfall_percent: Limit
    deadline_miss_percent: Limit
    hold_percent: Limit
    drop_percent: Limit
    cpu_percent: Limit
    memory_mib: Limit
    gpu_memory_mib: Limit
    stale_sec: float

    @classmethod
    def of(cls, node: Node) -> Thresholds:
        """
        Read the thresholds from the parameters of ``node``.

        :raises ParameterError: when an error threshold lies below its warning.
        """
        limits = {
            name: Limit(name, value(node, f'warn_{name}'), value(node, f'error_{name}'))
            for name in cls.__dataclass_fields__
            if name != 'stale_sec'
        }
        return cls(**limits, stale_sec=value(node, 'stale_sec'))
