"""The demo: policies move a simulated arm over real ROS 2, with their timing on screen."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import count, groupby
from pathlib import Path
import time
from typing import Any, Final

from sara_ros.cli.children import Children
from sara_ros.cli.session_report import SessionLog
from sara_ros.core import SCRIPTED_EXPERT
from sara_ros.core.resources import package_folder
from sara_ros.core.ros_domains import claim_domain
from sara_ros.core.statistics import Percentiles
from sara_ros.evaluation.captions import caption
from sara_ros.evaluation.progress import LiveView
from sara_ros.evaluation.samples import command_rate_hz
from sara_ros.evaluation.session import Episode, PolicyFacts
from sara_ros.evaluation.status import LiveStatus
from sara_ros.evaluation.video import EpisodeRecorder
from sara_ros.nodes.graph_client import GraphClient
from sara_ros.nodes.image_codec import Rgb
from sara_ros.nodes.session_recorder import SessionRecorder
from sara_ros_msgs.action import RunPolicy

VIDEO_EVERY: Final = 2
"""Every so many camera frames one goes into the video, at half the camera's rate."""
VIDEO_FPS: Final = 10.0
EPISODE_TIMEOUT_SEC: Final = 12.0
LINGER_SEC: Final = 1.0
"""How long a policy that succeeded may go on before its run is ended."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """One episode to run."""

    policy: str
    instruction: str
    seed: int


PLAN: Final = (
    Assignment(SCRIPTED_EXPERT, 'reach the red block', 900_008),
    Assignment('rt2-tabletop', 'reach the red block', 900_001),
    Assignment('rt2-tabletop', 'push the green block to the disc', 900_002),
    Assignment('rt2-tabletop', 'lift the blue block', 900_003),
    Assignment('rt2-tabletop', 'place the yellow block on the disc', 900_004),
    Assignment('pct-tabletop', 'reach the yellow block', 900_005),
    Assignment('pct-tabletop', 'push the red block to the disc', 900_006),
    Assignment(SCRIPTED_EXPERT, 'place the green block on the disc', 900_007),
)
"""Seeds lie outside those of training, of DAgger and of checkpoint choice."""


def run_demo(out: Path, plan: Iterable[Assignment] = PLAN) -> Path:
    """
    Run every episode of ``plan`` and return the path of the page that tells of them.

    :raises SaraError: when a process dies or does not do what it is asked; everything that was
        started is stopped first.
    """
    out.mkdir(parents=True, exist_ok=True)
    models = package_folder('models')
    with ExitStack() as stack:
        domain_id = stack.enter_context(claim_domain())
        log = SessionLog('demo', out, domain_id)
        todo = [each for each in plan if _available(each, models, log)]
        children = stack.enter_context(start_graph(out, domain_id))
        client = stack.enter_context(GraphClient(domain_id=domain_id, watch=children.check))
        with (
            EpisodeRecorder(out / 'episodes.mp4', VIDEO_FPS, (640, 480)) as video,
            LiveView('sara_ros demo', len(todo)) as view,
        ):
            demo = _Demo(client, view, video, log)
            demo.run(todo)
        return log.write(demo.recorder, children.pids, video.path.name)


def start_graph(out: Path, domain_id: int) -> Children:
    """Start simulator, policy and model manager as processes of their own domain."""
    environment = {'ROS_DOMAIN_ID': str(domain_id), 'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST'}
    children = Children(out / 'logs', environment)
    children.start('simulator')
    children.start('policy', {'autostart': False})
    children.start('model_manager')
    return children


def _available(assignment: Assignment, models: Path, log: SessionLog) -> bool:
    if assignment.policy == SCRIPTED_EXPERT:
        return True
    if (models / assignment.policy / 'policy.json').is_file():
        return True
    log.notes.append(
        f"'{assignment.instruction}' was left out: no model '{assignment.policy}' in models/"
    )
    return False


class _Demo:
    """The state of a running demo."""

    def __init__(
        self, client: GraphClient, view: LiveView, video: EpisodeRecorder, log: SessionLog
    ) -> None:
        self._client = client
        self._view = view
        self._video = video
        self._log = log
        self._frames = count()
        self._live: LiveStatus | None = None
        self._succeeded_sec: float | None = None
        self.recorder = SessionRecorder(client.node, self._on_frame)

    def run(self, todo: list[Assignment]) -> None:
        self._client.wait_for_policy()
        for policy, group in groupby(todo, key=lambda each: each.policy):
            self._client.load({'model': policy})
            for assignment in group:
                self._episode(assignment)
            self._client.unload()
        self._live = None  # the video ends here, the camera does not

    def _episode(self, assignment: Assignment) -> None:
        recorder = self.recorder
        self._client.reset_scene(assignment.seed, assignment.instruction)
        self._client.wait_until(lambda: not recorder.success, 'reset of the scene', 5.0)
        status = recorder.status
        self._log.policies[assignment.policy] = PolicyFacts(
            status.learned, status.attention_backend or None
        )
        recorder.episode += 1
        self._succeeded_sec = None
        result = self._client.run(
            assignment.instruction,
            timeout_sec=EPISODE_TIMEOUT_SEC,
            while_running=lambda: self._watch(assignment, 'running'),
        )
        self._finish(assignment, result)

    def _watch(self, assignment: Assignment, state: str) -> bool:
        """Update what people see; False once the policy has had its time after a success."""
        recorder = self.recorder
        recent = recorder.recent_ms()
        latency = Percentiles.of(recent) if recent else None
        own = self._own_samples()
        self._live = LiveStatus(
            episode=recorder.episode,
            instruction=assignment.instruction,
            policy=assignment.policy,
            learned=recorder.status.learned,
            state='success' if recorder.success else state,
            steps=len(own),
            command_rate_hz=command_rate_hz(own),
            p50_ms=latency.p50 if latency else None,
            p95_ms=latency.p95 if latency else None,
            p99_ms=latency.p99 if latency else None,
            holds=sum(sample.hold for sample in own),
            drops=sum(recorder.status.drop_counts),
        )
        self._view.update(self._live)
        if recorder.success and self._succeeded_sec is None:
            self._succeeded_sec = time.monotonic()
        return self._succeeded_sec is None or time.monotonic() - self._succeeded_sec < LINGER_SEC

    def _own_samples(self) -> list[Any]:
        episode = self.recorder.episode
        return [sample for sample in self.recorder.samples if sample.episode == episode]

    def _finish(self, assignment: Assignment, result: RunPolicy.Result) -> None:
        succeeded = self.recorder.success
        self._watch(assignment, 'success' if succeeded else 'failure')
        own = self._own_samples()
        reason = result.termination_reason
        if reason == RunPolicy.Result.CANCELED and succeeded:
            note = f'ended {LINGER_SEC:g} s after success'
        else:
            note = ''
        episode = Episode(
            index=self.recorder.episode,
            instruction=assignment.instruction,
            policy=assignment.policy,
            kind=self.recorder.status.kind,
            learned=self.recorder.status.learned,
            success=succeeded,
            termination_reason=reason,
            steps=int(result.commands),
            duration_sec=round(result.duration_sec, 3),
            command_rate_hz=command_rate_hz(own),
            seed=assignment.seed,
            message=result.message,
            note=note,
        )
        self._log.episodes.append(episode)
        self._view.finish(episode)

    def _on_frame(self, rgb: Rgb) -> None:
        live = self._live
        if live is not None and next(self._frames) % VIDEO_EVERY == 0:
            self._video.add(caption(rgb, *live.caption_lines(), state=live.state))
