"""The soak: one policy moves the simulated arm for as long as asked, and every figure is kept."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count, cycle
from pathlib import Path
import time
from typing import Any, Final

import psutil

from sara_ros.cli.children import Children
from sara_ros.cli.simulated_graph import simulated_graph
from sara_ros.evaluation.files import write_json
from sara_ros.evaluation.soak import ProcessCost, SoakLog
from sara_ros.evaluation.soak_page import write_pages
from sara_ros.launching import TABLETOP_BOX
from sara_ros.nodes.command_recorder import CommandRecorder
from sara_ros.nodes.graph_client import GraphClient

REPORT_FILE: Final = 'report.json'
RUN_SEC: Final = 20.0
MEMORY_PERIOD_SEC: Final = 5.0
MIB: Final = 2**20
INSTRUCTIONS: Final = (
    'push the green block to the disc',
    'lift the blue block',
    'place the yellow block on the disc',
    'reach the red block',
)
_FIRST_SEED: Final = 800_000


def run_soak(
    out: Path,
    minutes: float,
    *,
    model: str,
    export: bool = False,
    show: Callable[[str], None] = print,
) -> dict[str, Any]:
    """
    Run for ``minutes`` and return what is written to ``report.json`` below ``out``.

    A table and a picture of it lie beside it, as ``soak.md`` and ``soak.png``.

    :param export: have the model manager write CSV and MCAP meanwhile, below ``telemetry``.
    :raises SaraError: when a process ends or does not do what it is asked.
    """
    manager = {'export_dir': str((out / 'telemetry').resolve())} if export else {}
    with simulated_graph(out / 'logs', manager=manager) as graph:
        graph.client.load({'model': model, 'workspace': TABLETOP_BOX})
        session = _Session(graph.client, graph.children, model, exported=export)
        session.last(minutes * 60, show)
        graph.client.unload()
    report = session.report()
    write_json(out / REPORT_FILE, report)
    write_pages(report, out, REPORT_FILE)
    return report


class _Session:
    """Runs one instruction after the other and notes everything down."""

    def __init__(
        self, client: GraphClient, children: Children, model: str, *, exported: bool
    ) -> None:
        self._client = client
        self._processes = {name: psutil.Process(pid) for name, pid in children.pids.items()}
        self._recorder = CommandRecorder(client.node)
        client.wait_until(lambda: self._recorder.status.rate_hz > 0, 'a status', 10.0)
        self._log = SoakLog(model, self._recorder.status.rate_hz)
        self._log.samples = self._recorder.samples
        self._log.exported = exported
        self._started_sec = time.monotonic()
        self._duration_sec = 0.0
        self._memory_sec = 0.0

    @property
    def elapsed_sec(self) -> float:
        return time.monotonic() - self._started_sec

    def last(self, duration_sec: float, show: Callable[[str], None]) -> None:
        """Run for ``duration_sec``."""
        before, started_sec = self._usage(), self.elapsed_sec
        self._run(duration_sec, show)
        self._duration_sec = self.elapsed_sec
        spent_sec = self._duration_sec - started_sec
        self._log.processes = {
            name: ProcessCost(
                cpu_percent=round(100 * (cpu_sec - before[name][0]) / spent_sec, 2),
                rss_start_mib=round(before[name][1], 1),
                rss_end_mib=round(mib, 1),
            )
            for name, (cpu_sec, mib) in self._usage().items()
        }

    def _usage(self) -> dict[str, tuple[float, float]]:
        """Return CPU time so far (s) and resident memory (MiB) of each process."""
        found = {}
        for name, process in self._processes.items():
            times = process.cpu_times()
            found[name] = (times.user + times.system, process.memory_info().rss / MIB)
        return found

    def _run(self, duration_sec: float, show: Callable[[str], None]) -> None:
        for seed, instruction in zip(count(_FIRST_SEED), cycle(INSTRUCTIONS)):
            left_sec = duration_sec - self.elapsed_sec
            if left_sec < 1.0:
                return
            self._client.reset_scene(seed, instruction)
            self._recorder.episode += 1
            result = self._client.run(
                instruction, timeout_sec=min(RUN_SEC, left_sec), while_running=self._watch
            )
            self._log.ended[result.termination_reason] += 1
            show(
                f'{self.elapsed_sec:.0f} s: {len(self._log.samples)} commands; '
                f'{instruction}: {result.termination_reason}'
            )

    def report(self) -> dict[str, Any]:
        status = self._recorder.status
        self._log.dropped = dict(zip(status.drop_reasons, status.drop_counts, strict=True))
        self._log.clipped = dict(zip(status.clip_reasons, status.clip_counts, strict=True))
        self._log.deadline_misses = int(status.deadline_misses)
        return self._log.to_report(self._duration_sec)

    def _watch(self) -> bool:
        if self.elapsed_sec >= self._memory_sec:
            self._memory_sec += MEMORY_PERIOD_SEC
            for name, process in self._processes.items():
                mib = process.memory_info().rss / MIB
                self._log.memory_mib[name].append((round(self.elapsed_sec, 1), round(mib, 2)))
        return True
