"""What both demos share: the graph, the live view, the video and the report."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Any, Final

from sara_ros.cli.children import Children
from sara_ros.cli.session_report import PAGE_FILE, PLOT_FILE, REPORT_FILE, SAMPLES_FILE, SessionLog
from sara_ros.core.ros_domains import claim_domain
from sara_ros.core.statistics import Percentiles
from sara_ros.decoding.images import Rgb
from sara_ros.evaluation.captions import caption
from sara_ros.evaluation.progress import LiveView
from sara_ros.evaluation.samples import CommandSample, command_rate_hz
from sara_ros.evaluation.session import Episode, PolicyFacts
from sara_ros.evaluation.status import LiveStatus
from sara_ros.evaluation.video import EpisodeRecorder
from sara_ros.nodes.graph_client import GraphClient
from sara_ros.nodes.session_bag import SessionBag
from sara_ros.nodes.session_recorder import SessionRecorder
from sara_ros_msgs.action import RunPolicy

VIDEO_EVERY: Final = 2
"""Every so many camera frames one goes into the video."""
VIDEO_FPS: Final = 10.0
VIDEO_SIZE_PX: Final = (640, 480)
VIDEO_FILE: Final = 'episodes.mp4'
BAG_FILE: Final = 'session.mcap'
REPORT_FILES: Final = (REPORT_FILE, PAGE_FILE, SAMPLES_FILE, PLOT_FILE, VIDEO_FILE, BAG_FILE)


@dataclass(frozen=True, slots=True)
class Assignment:
    """One episode: a policy, an instruction, and the scene's seed where there is one."""

    policy: str
    instruction: str
    seed: int | None = None


class Stage:
    """
    A graph of processes in a domain of their own, watched from here.

    Leaving it stops every process, whatever happened.

    :param kind: ``demo`` or ``demo-real``.
    :param out: folder of the report; the report of an earlier session is removed.
    :param total: episodes to come.
    :param bag: also record ``session.mcap`` there, for ``sara-ros replay``.
    """

    def __init__(self, kind: str, out: Path, total: int, *, bag: bool = False) -> None:
        """Prepare the folder; ``with`` starts the graph."""
        out.mkdir(parents=True, exist_ok=True)
        for name in REPORT_FILES:
            (out / name).unlink(missing_ok=True)
        self._kind = kind
        self._out = out
        self._total = total
        self._wants_bag = bag
        self._bag: SessionBag | None = None
        self._stack = ExitStack()
        self._frames = count()
        self._live: LiveStatus | None = None
        self._filming = Lock()

    def __enter__(self) -> Stage:
        """Start policy and model manager, and show the live view."""
        with ExitStack() as stack:
            domain_id = stack.enter_context(claim_domain())
            self.log = SessionLog(self._kind, self._out, domain_id)
            self.children = stack.enter_context(self._start(domain_id))
            self.client = stack.enter_context(
                GraphClient(domain_id=domain_id, watch=self.children.check)
            )
            self.recorder = SessionRecorder(
                self.client.node, self._on_frame, clouds=self._kind == 'demo-real'
            )
            if self._wants_bag:
                bag = SessionBag(self.client.node, self._out / BAG_FILE)
                self._bag = stack.enter_context(bag)
            self.view = stack.enter_context(LiveView(f'sara_ros {self._kind}', self._total))
            self._video = stack.enter_context(
                EpisodeRecorder(self._out / VIDEO_FILE, VIDEO_FPS, VIDEO_SIZE_PX)
            )
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Finish the video and stop every process."""
        with self._filming:  # the encoder must not be closed under a frame
            self._live = None
        self._stack.__exit__(kind, error, trace)

    def _start(self, domain_id: int) -> Children:
        children = Children(
            self._out / 'logs',
            {'ROS_DOMAIN_ID': str(domain_id), 'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST'},
        )
        children.start('policy', {'autostart': False})
        children.start('model_manager')
        return children

    def load(self, model_id: str, parameters: Mapping[str, Any] | None = None) -> None:
        """Have the policy node load and activate a model."""
        self.client.wait_for_policy()
        self.client.load({'model': model_id, **(parameters or {})})

    def begin(self, assignment: Assignment) -> None:
        """Count what follows as the next episode."""
        status = self.recorder.status
        self.log.policies[assignment.policy] = PolicyFacts(
            status.learned, status.attention_backend or None
        )
        self.recorder.episode += 1

    def show(self, assignment: Assignment, state: str) -> None:
        """Update what people see."""
        recorder = self.recorder
        own = self._own_samples()
        recent = [each.total_ms for each in own if each.counted and each.total_ms is not None]
        latency = Percentiles.of(recent) if recent else None
        self._live = LiveStatus(
            episode=recorder.episode,
            instruction=assignment.instruction,
            policy=assignment.policy,
            learned=recorder.status.learned,
            state=state,
            steps=len(own),
            command_rate_hz=command_rate_hz(own),
            p50_ms=latency.p50 if latency else None,
            p95_ms=latency.p95 if latency else None,
            p99_ms=latency.p99 if latency else None,
            holds=sum(sample.hold for sample in own),
            drops=sum(recorder.status.drop_counts),
        )
        self.view.update(self._live)

    def finish(
        self,
        assignment: Assignment,
        result: RunPolicy.Result,
        *,
        success: bool | None,
        note: str = '',
    ) -> None:
        """Note down how the episode ended."""
        outcome = {True: 'success', False: 'failure', None: 'not judged'}[success]
        self.show(assignment, outcome)
        status = self.recorder.status
        episode = Episode(
            index=self.recorder.episode,
            instruction=assignment.instruction,
            policy=assignment.policy,
            kind=status.kind,
            learned=status.learned,
            success=success,
            termination_reason=result.termination_reason,
            steps=int(result.commands),
            duration_sec=round(result.duration_sec, 3),
            command_rate_hz=command_rate_hz(self._own_samples()),
            seed=assignment.seed,
            message=result.message,
            note=note,
        )
        self.log.episodes.append(episode)
        self.view.finish(episode)

    def report(self) -> Path:
        """Write the report of a session that was left, and return the path of its page."""
        if self._video.frames and self._video.codec == 'mpeg4':
            self.log.notes.append('The video is MPEG-4 part 2, which browsers do not play.')
        if self._bag is not None and self._bag.problem:
            self.log.notes.append(self._bag.problem)
        return self.log.write(
            self.recorder, self.children.pids, VIDEO_FILE if self._video.frames else ''
        )

    def _own_samples(self) -> list[CommandSample]:
        return self.recorder.samples_of(self.recorder.episode)

    def _on_frame(self, rgb: Rgb) -> None:
        with self._filming:
            live = self._live
            if live is not None and next(self._frames) % VIDEO_EVERY == 0:
                self._video.add(caption(rgb, *live.caption_lines(), state=live.state))
