"""Plays a recording through the live graph and compares its actions with bag time."""

from __future__ import annotations

from pathlib import Path
import tempfile
import time
from typing import Any, Final

from diagnostic_msgs.msg import DiagnosticStatus
import numpy as np
from numpy.typing import NDArray
from std_srvs.srv import Trigger

from sara_ros.cli.children import Children
from sara_ros.core import ParameterError
from sara_ros.core.ros_domains import claim_domain
from sara_ros.evaluation.replay.contender import load
from sara_ros.evaluation.replay.examination import Examiner
from sara_ros.evaluation.replay.job import Job, JobResult
from sara_ros.evaluation.replay.live_comparison import (
    Chunks,
    compare_chunks,
    judge,
    unequal_stamps,
)
from sara_ros.nodes import qos
from sara_ros.nodes.bag_player import SHIFT
from sara_ros.nodes.graph_client import GraphClient
from sara_ros.nodes.ros_time import to_ns
from sara_ros_msgs.msg import ActionChunk, PolicyStatus

START_TIMEOUT_SEC: Final = 60.0
SETTLE_SEC: Final = 0.6
"""Silence after the last message that tells that the policy has answered it."""
MOST_SPAN_SEC: Final = 24 * 3600
"""Longer recordings have a gap that nobody would wait for."""
PLAYER: Final = 'bag_player'


def compare_live(job: Job, result: JobResult) -> dict[str, Any]:
    """
    Play the recording of ``job`` in real time and return how the actions compare.

    :raises SaraError: when a process dies or does not do what it is asked.
    """
    if result.instruction_topic:
        raise ParameterError(
            f"{result.report['bag']['name']}: topic '{result.instruction_topic}' says what is to "
            'be done, and --live follows one instruction from beginning to end; give --instruction'
        )
    span_sec = result.report['bag']['span_sec']
    if span_sec > MOST_SPAN_SEC:
        raise ParameterError(
            f'{result.report["bag"]["name"]} spans {span_sec:.0f} s, and --live plays it in real '
            f'time; cut it to at most {MOST_SPAN_SEC} s'
        )
    environment = {'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST'}
    with claim_domain() as domain_id, tempfile.TemporaryDirectory() as logs:
        environment['ROS_DOMAIN_ID'] = str(domain_id)
        with Children(Path(logs), environment) as children:
            children.start('policy', _policy_parameters(job, result))
            children.start(PLAYER, _player_parameters(job, result))
            with GraphClient(domain_id=domain_id, watch=children.check) as client:
                run = _LiveRun(client)
                live = run.play(result.instructions[0], span_sec)
    compared = compare_chunks(result.chunks, live)
    notes, unexplained = _judged(job, result, live)
    compared['notes'][1:1] = notes
    dropped = run.dropped()
    if dropped and compared['only_bag_time']:
        compared['notes'].append(f'dropped by the live policy: {dropped}')
    return {
        'bag': result.report['bag']['name'],
        'model': job.contender.name,
        **compared,
        'unexplained': unexplained,
    }


def _judged(job: Job, result: JobResult, live: Chunks) -> tuple[list[str], list[str]]:
    """Return what timing explains of the differences, and what nothing does."""
    unequal = unequal_stamps(result.chunks, live)
    if not unequal:
        return [], []
    policy = load(job.models_dir, job.contender, job.device, job.threads)
    examiner = Examiner(
        policy, job.place.open(), result.topics, result.instructions[0],
        job.settings.known.static_transforms,
    )  # fmt: skip
    examined = examiner.examine(live, result.seen, unequal)
    return judge(result.chunks, live, result.seen, examined, policy.spec, result.topics)


class _LiveRun:
    """Asks for the run and the playing, and keeps the chunks."""

    def __init__(self, client: GraphClient) -> None:
        self._client = client
        self._asked = False
        self._progress = DiagnosticStatus()
        self._status = PolicyStatus()
        self._chunks: list[ActionChunk] = []
        self._last_sec = 0.0
        node = client.node
        self._play = node.create_client(Trigger, f'{PLAYER}/play')
        self._subscriptions = [
            node.create_subscription(kind, topic, keep, profile)
            for kind, topic, keep, profile in (
                (DiagnosticStatus, f'{PLAYER}/progress', self._on_progress, qos.LATCHED),
                (PolicyStatus, 'policy/status', self._on_status, qos.LATCHED),
                (ActionChunk, 'policy/action_chunk', self._on_chunk, qos.COMMAND),
            )
        ]

    def play(self, instruction: str, span_sec: float) -> dict[int, NDArray[np.float32]]:
        """Let the policy follow ``instruction`` while the recording is played; return chunks."""
        client = self._client
        client.wait_for_policy()
        client.wait_until(lambda: self._status.state == 'active', 'policy', START_TIMEOUT_SEC)
        client.wait_until(
            lambda: self._progress.message == 'ready', 'start of the player', START_TIMEOUT_SEC
        )
        client.wait_until(
            lambda: all(each.get_publisher_count() for each in self._subscriptions),
            'discovery of the policy',
            START_TIMEOUT_SEC,
        )
        while not self._finished:
            client.run(instruction, timeout_sec=span_sec + 30.0, while_running=self._watch)
        before = self._status
        client.wait_until(
            lambda: self._status is not before, 'status of the policy', START_TIMEOUT_SEC
        )
        shift_ns = int({each.key: each.value for each in self._progress.values}[SHIFT])
        return {to_ns(each.observation_stamp) - shift_ns: _values(each) for each in self._chunks}

    def dropped(self) -> str:
        """Return what the policy dropped, in words."""
        status = self._status
        pairs = zip(status.drop_counts, status.drop_reasons, strict=True)
        return ', '.join(f'{count} {reason}' for count, reason in pairs)

    @property
    def _finished(self) -> bool:
        return str(self._progress.message) == 'finished'

    def _watch(self) -> bool:
        if not self._asked:
            self._asked = True
            self._play.call_async(Trigger.Request())
        return not self._finished or time.monotonic() - self._last_sec < SETTLE_SEC

    def _on_progress(self, message: DiagnosticStatus) -> None:
        self._progress = message
        self._last_sec = time.monotonic()

    def _on_chunk(self, message: ActionChunk) -> None:
        self._chunks.append(message)
        self._last_sec = time.monotonic()

    def _on_status(self, message: PolicyStatus) -> None:
        self._status = message


def _values(message: ActionChunk) -> NDArray[np.float32]:
    return np.array(message.values, np.float32).reshape(message.horizon, -1)


def _policy_parameters(job: Job, result: JobResult) -> dict[str, Any]:
    return {
        'model': job.contender.model_id,
        'models_dir': str(job.models_dir.resolve()),
        'attention_backend': job.contender.attention_backend,
        'device': job.device,
        'torch_threads': job.threads,
        'static_transforms': list(job.settings.known.static_transforms) or [''],
        'startup_timeout_sec': 30.0,
        **{f'topics.{name}': topic for name, topic in result.topics.items()},
    }


def _player_parameters(job: Job, result: JobResult) -> dict[str, Any]:
    episode = job.place.episode
    return {
        'bag': str(job.place.path.resolve()),
        'episode': -1 if episode is None else episode,
        'topics': sorted(set(result.topics.values())),
    }
