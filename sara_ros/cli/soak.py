"""The soak: one policy moves the simulated arm for as long as asked, and every figure is kept."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count, cycle
from pathlib import Path
import time
from typing import Any, Final

import psutil

from sara_ros.cli.children import Children
from sara_ros.cli.stage import TABLETOP_BOX
from sara_ros.core.ros_domains import claim_domain
from sara_ros.evaluation.files import write_json
from sara_ros.evaluation.soak import SoakLog
from sara_ros.nodes.command_recorder import CommandRecorder
from sara_ros.nodes.graph_client import GraphClient

REPORT_FILE: Final = 'report.json'
RUN_SEC: Final = 20.0
MEMORY_PERIOD_SEC: Final = 5.0
INSTRUCTIONS: Final = (
    'push the green block to the disc',
    'lift the blue block',
    'place the yellow block on the disc',
    'reach the red block',
)
_FIRST_SEED: Final = 800_000


def run_soak(
    out: Path, minutes: float, *, model: str, show: Callable[[str], None] = print
) -> dict[str, Any]:
    """
    Run for ``minutes`` and return what is written to ``report.json`` below ``out``.

    :raises SaraError: when a process ends or does not do what it is asked.
    """
    with claim_domain() as domain_id:
        environment = {
            'ROS_DOMAIN_ID': str(domain_id), 'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST',
        }  # fmt: skip
        with Children(out / 'logs', environment) as children:
            children.start('policy', {'autostart': False})
            children.start('simulator')
            children.start('model_manager')
            with GraphClient(domain_id=domain_id, watch=children.check) as client:
                client.wait_for_policy()
                client.load({'model': model, 'workspace': TABLETOP_BOX})
                session = _Session(client, children, model)
                session.last(minutes * 60, show)
                client.unload()
    report = session.report()
    write_json(out / REPORT_FILE, report)
    return report


class _Session:
    """Runs one instruction after the other and notes everything down."""

    def __init__(self, client: GraphClient, children: Children, model: str) -> None:
        self._client = client
        self._processes = {name: psutil.Process(pid) for name, pid in children.pids.items()}
        self._recorder = CommandRecorder(client.node)
        client.wait_until(lambda: self._recorder.status.rate_hz > 0, 'a status', 10.0)
        self._log = SoakLog(model, self._recorder.status.rate_hz)
        self._log.samples = self._recorder.samples
        self._started_sec = time.monotonic()
        self._memory_sec = 0.0

    @property
    def elapsed_sec(self) -> float:
        return time.monotonic() - self._started_sec

    def last(self, duration_sec: float, show: Callable[[str], None]) -> None:
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
        return self._log.to_report(self.elapsed_sec)

    def _watch(self) -> bool:
        if self.elapsed_sec >= self._memory_sec:
            self._memory_sec += MEMORY_PERIOD_SEC
            for name, process in self._processes.items():
                mib = process.memory_info().rss / 2**20
                self._log.memory_mib[name].append((round(self.elapsed_sec, 1), round(mib, 2)))
        return True
