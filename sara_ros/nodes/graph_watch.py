"""Listens to a running graph without taking part in it."""

from __future__ import annotations

from collections import deque
from threading import Lock
import time
from typing import Any, Final

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
import rclpy
from rclpy.exceptions import NameValidationException
from rclpy.node import Node
from rclpy.serialization import deserialize_message
from rclpy.validate_topic_name import validate_topic_name

from sara_ros.core import ParameterError
from sara_ros.core.errors import describe
from sara_ros.core.health import Level
from sara_ros.evaluation.graph_status import GraphStatus, HealthRow, ModelRow, StageRow, TopicRow
from sara_ros.evaluation.mcap_log import Topic
from sara_ros.nodes.ros_time import NS
from sara_ros.nodes.telemetry_export import EXPORTED, resolved
from sara_ros.nodes.topic_tap import TopicTap
from sara_ros_msgs import msg

RATE_SPAN_SEC: Final = 5.0
MOST_ARRIVALS: Final = 1_000
HOUSEKEEPING: Final = ('/transition_event', '/parameter_events', '/rosout')
"""Topics that every node has, or every lifecycle node; hidden ones have a leading underscore."""
DIAGNOSTICS: Final = '/diagnostics'
MIB: Final = 2**20
COUNTS: Final = ('commands_published', 'holds', 'deadline_misses', 'chunks', 'clipped_values')
LEVELS: Final = {
    DiagnosticStatus.OK: Level.OK,
    DiagnosticStatus.WARN: Level.WARN,
    DiagnosticStatus.ERROR: Level.ERROR,
    DiagnosticStatus.STALE: Level.STALE,
}


class GraphWatch:
    """
    A node in a context of its own that counts and keeps the newest of what a graph publishes.

    :param policy: name of the policy node, with its namespace where it has one.
    :param manager: name of its model manager.
    :param domain_id: ROS domain; None for that of the environment.
    :raises ParameterError: for a name that is not valid.
    """

    def __init__(self, policy: str, manager: str, *, domain_id: int | None = None) -> None:
        """Join the graph."""
        self._arrivals_ns: dict[str, deque[int]] = {}
        self._newest: dict[str, tuple[int, bytes]] = {}
        self._lock = Lock()
        self._context = rclpy.Context()
        rclpy.init(context=self._context, domain_id=domain_id)
        self._node = Node('top', context=self._context)
        try:
            self._names = [self._resolved(each) for each in (policy, manager)]
        except NameValidationException as err:
            self._leave()
            raise ParameterError(describe(err)) from err
        topics = [
            (kind, resolved(name, *self._names), profile) for kind, name, profile in EXPORTED
        ]
        self._arrivals_ns = {name: deque(maxlen=MOST_ARRIVALS) for _, name, _ in topics}
        self._tap = TopicTap(self._node, topics, self._receive)

    def __enter__(self) -> GraphWatch:
        """Return the watch."""
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the graph."""
        self._tap.close()
        self._leave()

    def status(self) -> GraphStatus:
        """Return everything known by now."""
        policy, manager = self._names
        heard_sec, state = self._read(f'{policy}/status', msg.PolicyStatus)
        _, summary = self._read(f'{manager}/timing', msg.TimingSummary)
        _, swap = self._read(f'{policy}/swap_status', msg.SwapStatus)
        _, health = self._read(DIAGNOSTICS, DiagnosticArray)
        return GraphStatus(
            heard_sec=heard_sec,
            model_id=state.model_id,
            attention_backend=state.attention_backend,
            state=state.state,
            instruction=state.instruction,
            dry_run=state.dry_run,
            swap=': '.join(filter(None, (swap.state, swap.candidate.model_id, swap.message))),
            last_error=state.last_error,
            command_rate_hz=summary.command_rate_hz,
            wanted_rate_hz=state.rate_hz,
            counts={name: int(getattr(state, name)) for name in COUNTS},
            drops=_pairs(state.drop_reasons, state.drop_counts),
            clips=_pairs(state.clip_reasons, state.clip_counts),
            cpu_percent=summary.cpu_percent,
            memory_mib=summary.memory_bytes / MIB,
            gpu_memory_mib=summary.gpu_memory_bytes / MIB,
            stages=[_stage(each) for each in summary.stages],
            observation_age=_stage(summary.observation_age) if summary.stages else None,
            models=[_model(each) for each in summary.models],
            health=[self._health(each) for each in health.status],
            nodes=self._node_names(),
            topics=self._topics(),
        )

    def _resolved(self, name: str) -> str:
        validate_topic_name(name)
        return str(self._node.resolve_topic_name(name))

    def _receive(self, topic: Topic, received_ns: int, data: bytes) -> None:
        if topic.name == DIAGNOSTICS and not self._is_ours(data):
            return
        with self._lock:
            self._arrivals_ns[topic.name].append(received_ns)
            self._newest[topic.name] = (received_ns, data)

    def _is_ours(self, data: bytes) -> bool:
        """Other nodes publish diagnostics as well."""
        owner = f'{self._names[1]}: '
        array = deserialize_message(data, DiagnosticArray)
        return any(status.name.startswith(owner) for status in array.status)

    def _read(self, topic: str, kind: Any) -> tuple[float | None, Any]:
        """Return age and content of the newest message; None and an empty one without any."""
        with self._lock:
            newest = self._newest.get(topic)
        if newest is None:
            return None, kind()
        return (time.time_ns() - newest[0]) / NS, deserialize_message(newest[1], kind)

    def _health(self, status: Any) -> HealthRow:
        name = str(status.name).rpartition(': ')[2]
        return HealthRow(LEVELS.get(status.level, Level.STALE), name, status.message)

    def _node_names(self) -> list[str]:
        found = self._node.get_node_names_and_namespaces()
        return sorted({
            f'{space.rstrip("/")}/{name}'
            for name, space in found
            if name != self._node.get_name() and not name.startswith('_')
        })  # fmt: skip

    def _topics(self) -> list[TopicRow]:
        rows = []
        known = dict(self._node.get_topic_names_and_types())
        for topic, kinds in sorted(known.items()):
            counted = topic in self._arrivals_ns
            publishers = self._node.count_publishers(topic)
            subscribers = self._node.count_subscribers(topic) - counted
            if '/_' in topic or topic.endswith(HOUSEKEEPING):
                continue
            if not (publishers or subscribers) or (counted and not publishers):
                continue
            rows.append(
                TopicRow(topic, kinds[0], publishers, subscribers,
                         self._rate_hz(topic) if counted else None)
            )  # fmt: skip
        return rows

    def _rate_hz(self, topic: str) -> float:
        since_ns = time.time_ns() - int(RATE_SPAN_SEC * NS)
        with self._lock:
            recent = [each for each in self._arrivals_ns[topic] if each > since_ns]
        span_sec = (recent[-1] - recent[0]) / NS if recent else 0.0
        return (len(recent) - 1) / span_sec if span_sec > 0 else 0.0

    def _leave(self) -> None:
        self._node.destroy_node()
        self._context.try_shutdown()


def _pairs(names: Any, counts: Any) -> dict[str, int]:
    return {name: int(count) for name, count in zip(names, counts, strict=True)}


def _stage(each: msg.StageStatistics) -> StageRow:
    return StageRow(
        each.stage, int(each.count), each.p50_ms, each.p95_ms, each.p99_ms, each.max_ms
    )


def _model(each: msg.ModelTiming) -> ModelRow:
    stages = {stage.stage: _stage(stage) for stage in each.stages}
    return ModelRow(
        each.model_id,
        each.attention_backend,
        int(each.commands),
        int(each.warm_up_excluded),
        stages.get('inference'),
        stages.get('sensor_to_command'),
    )
