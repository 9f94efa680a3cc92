"""Telemetry as text that Prometheus reads, on this machine only."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Final

from sara_ros.core.errors import ParameterError
from sara_ros.evaluation.exporter import ExportCounts
from sara_ros_msgs.msg import PolicyStatus, StageStatistics, TimingSummary

ADDRESS: Final = '127.0.0.1'
PATH: Final = '/metrics'
CONTENT_TYPE: Final = 'text/plain; version=0.0.4; charset=utf-8'

Samples = Iterable[tuple[Mapping[str, str], float]]


def metrics_text(
    summary: TimingSummary, status: PolicyStatus, export: Mapping[str, ExportCounts]
) -> str:
    """Return the figures in version 0.0.4 of the text format, in base units."""
    one: dict[str, str] = {}
    drops = zip(status.drop_reasons, status.drop_counts, strict=True)
    clips = zip(status.clip_reasons, status.clip_counts, strict=True)
    families: list[tuple[str, str, str, Samples]] = [
        ('active', 'gauge', 'Whether the policy node is active.',
         [({'state': status.state}, status.state == 'active')]),
        ('stage_latency_seconds', 'gauge', 'Latency of a stage over the window, by model.',
         [sample for each in summary.models for stage in each.stages
          for sample in _quantiles(stage, model_id=each.model_id,
                                   attention_backend=each.attention_backend, stage=stage.stage)]),
        ('observation_age_seconds', 'gauge', 'Age of what commands rest on, over the window.',
         _quantiles(summary.observation_age) if summary.observation_age.count else []),
        ('command_rate_hertz', 'gauge', 'Commands per second within the window.',
         [(one, summary.command_rate_hz)]),
        ('warm_up_excluded_total', 'counter', 'Commands of warm-up, by model.',
         [({'model_id': each.model_id, 'attention_backend': each.attention_backend},
           each.warm_up_excluded) for each in summary.models]),
        ('commands_total', 'counter', 'Commands published since activation.',
         [(one, status.commands_published)]),
        ('holds_total', 'counter', 'Commands that held still.', [(one, status.holds)]),
        ('deadline_misses_total', 'counter', 'Command periods that began late.',
         [(one, status.deadline_misses)]),
        ('clipped_values_total', 'counter', 'Action values limited by the guard.',
         [(one, status.clipped_values)]),
        ('clips_total', 'counter', 'What the guard limited or refused, by reason.',
         [({'reason': reason}, count) for reason, count in clips]),
        ('observations_total', 'counter', 'Observations received.',
         [(one, status.observations_received)]),
        ('observations_dropped_total', 'counter', 'Observations dropped, by reason.',
         [({'reason': reason}, count) for reason, count in drops]),
        ('process_cpu_seconds_total', 'counter', 'CPU time of the policy process.',
         [(one, status.cpu_time_sec)]),
        ('process_memory_bytes', 'gauge', 'Resident memory of the policy process.',
         [(one, status.memory_bytes)]),
        ('process_gpu_memory_bytes', 'gauge', 'GPU memory of the policy process.',
         [(one, status.gpu_memory_bytes)]),
        ('export_written_total', 'counter', 'Commands or messages on the disk, by format.',
         [({'format': name}, each.written) for name, each in export.items()]),
        ('export_lost_total', 'counter', 'Commands or messages lost, by format.',
         [({'format': name}, each.lost) for name, each in export.items()]),
    ]  # fmt: skip
    return ''.join(_family(*family) for family in families)


def _quantiles(each: StageStatistics, /, **labels: str) -> list[tuple[Mapping[str, str], float]]:
    values = {'0.5': each.p50_ms, '0.95': each.p95_ms, '0.99': each.p99_ms, '1': each.max_ms}
    return [({**labels, 'quantile': name}, ms * 1e-3) for name, ms in values.items()]


def _family(name: str, kind: str, about: str, samples: Samples) -> str:
    lines = [f'# HELP sara_ros_{name} {about}\n', f'# TYPE sara_ros_{name} {kind}\n']
    for labels, value in samples:
        text = ','.join(f'{key}="{_escaped(label)}"' for key, label in labels.items())
        braces = f'{{{text}}}' if text else ''
        lines.append(f'sara_ros_{name}{braces} {float(value):.17g}\n')
    return ''.join(lines) if len(lines) > 2 else ''


def _escaped(label: str) -> str:
    return label.replace('\\', r'\\').replace('"', r'\"').replace('\n', r'\n')


class MetricsServer:
    """
    Answers ``GET /metrics`` on 127.0.0.1 with the text of the moment.

    :param text: called on the server's threads.
    :raises ParameterError: when the port cannot be had.
    """

    def __init__(self, port: int, text: Callable[[], str]) -> None:
        """Start to listen."""
        try:
            self._server = ThreadingHTTPServer((ADDRESS, port), _handler(text))
        except OSError as err:
            raise ParameterError(
                f"parameter 'prometheus_port' is {port}: {err.strerror}; choose a free port, or 0"
            ) from err
        self._server.daemon_threads = True
        self.port = int(self._server.server_address[1])
        self._thread = Thread(target=self._server.serve_forever, name='prometheus', daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _handler(text: Callable[[], str]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = 5.0

        def do_GET(self) -> None:
            if self.path.split('?')[0] != PATH:
                self.send_error(404)
                return
            body = text().encode()
            self.send_response(200)
            self.send_header('Content-Type', CONTENT_TYPE)
            self.send_header('Content-Length', str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler
