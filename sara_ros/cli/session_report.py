"""Writes what a session left: JSON, CSV, plot and a page that holds everything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
import time
from typing import Final

from sara_ros.evaluation.files import write_json
from sara_ros.evaluation.machine import describe_machine
from sara_ros.evaluation.plots import timing_plot
from sara_ros.evaluation.report_html import write_html
from sara_ros.evaluation.samples import write_csv
from sara_ros.evaluation.session import (
    CommandCounts,
    Episode,
    PolicyFacts,
    ProcessFacts,
    Session,
    Source,
)
from sara_ros.nodes.ros_facts import ros_facts
from sara_ros.nodes.session_recorder import SessionRecorder

REPORT_FILE: Final = 'report.json'
PAGE_FILE: Final = 'report.html'
SAMPLES_FILE: Final = 'timing.csv'
PLOT_FILE: Final = 'timing.png'


@dataclass(slots=True)
class SessionLog:
    """What a command notes down while its session runs."""

    kind: str
    out: Path
    domain_id: int
    episodes: list[Episode] = field(default_factory=list)
    policies: dict[str, PolicyFacts] = field(default_factory=dict)
    sources: list[Source] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    messages_in: dict[str, int] = field(default_factory=dict)
    created: datetime = field(default_factory=lambda: datetime.now(timezone.utc))
    started_sec: float = field(default_factory=time.monotonic)

    def write(self, recorder: SessionRecorder, pids: Mapping[str, int], video: str = '') -> Path:
        """Write all files below ``out`` and return the path of ``report.html``."""
        samples = recorder.samples
        files = {'timing': SAMPLES_FILE, 'page': PAGE_FILE}
        write_csv(self.out / SAMPLES_FILE, samples)
        if samples:
            files['plot'] = timing_plot(samples, self.out / PLOT_FILE).name
        if video:
            files['video'] = video
        report = self._session(recorder, pids, files).to_report()
        write_json(self.out / REPORT_FILE, report)
        pictures = {key: self.out / files[key] for key in ('video', 'plot') if key in files}
        write_html(report, samples, self.out / PAGE_FILE, **pictures)
        return self.out / PAGE_FILE

    def _session(
        self, recorder: SessionRecorder, pids: Mapping[str, int], files: Mapping[str, str]
    ) -> Session:
        totals = recorder.totals
        prefix = 'dropped '
        return Session(
            kind=self.kind,
            created=self.created.isoformat(timespec='seconds'),
            duration_sec=time.monotonic() - self.started_sec,
            first_command_sec=self._first_command_sec(recorder),
            machine=describe_machine(),
            ros=ros_facts(self.domain_id),
            processes=[ProcessFacts(name, pid) for name, pid in pids.items()],
            episodes=self.episodes,
            commands=CommandCounts.of(
                recorder.samples,
                deadline_misses=totals['deadline_misses'],
                clipped_values=totals['clipped_values'],
            ),
            samples=recorder.samples,
            policies=self.policies,
            frames=recorder.frames.counts(),
            dropped={
                name.removeprefix(prefix): count
                for name, count in totals.items()
                if name.startswith(prefix)
            },
            messages_in=self.messages_in,
            messages_out={
                topic: count
                for topic, count in recorder.messages.items()
                if topic.startswith('policy/')
            },
            sources=self.sources,
            notes=self.notes,
            files=files,
        )

    def _first_command_sec(self, recorder: SessionRecorder) -> float | None:
        if not recorder.samples:
            return None
        # Samples count from the start of the recorder, which is later than that of the log.
        return recorder.started_sec - self.started_sec + recorder.samples[0].time_sec
