"""The state of a running graph, as ``sara-ros top`` shows it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sara_ros.core.health import Level


@dataclass(frozen=True, slots=True)
class StageRow:
    """Percentiles of one stage, ms."""

    name: str
    count: int
    p50_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float


@dataclass(frozen=True, slots=True)
class ModelRow:
    """One model that served; ``inference`` and ``total`` are None before its first command."""

    model_id: str
    attention_backend: str
    commands: int
    warm_up_excluded: int
    inference: StageRow | None
    total: StageRow | None


@dataclass(frozen=True, slots=True)
class TopicRow:
    """One topic of the policy or its manager; ``rate_hz`` is None where nobody counts."""

    name: str
    kind: str
    publishers: int
    subscribers: int
    rate_hz: float | None = None


@dataclass(frozen=True, slots=True)
class HealthRow:
    """One status of ``/diagnostics``."""

    level: Level
    name: str
    text: str


@dataclass(frozen=True, slots=True)
class GraphStatus:
    """
    Everything known of a graph at one moment.

    :ivar heard_sec: age of the newest status of the policy; None before the first.
    :ivar swap: state of a change of the model and why, empty without one.
    """

    heard_sec: float | None = None
    model_id: str = ''
    attention_backend: str = ''
    state: str = ''
    instruction: str = ''
    dry_run: bool = False
    swap: str = ''
    last_error: str = ''
    command_rate_hz: float = 0.0
    wanted_rate_hz: float = 0.0
    counts: Mapping[str, int] = field(default_factory=dict)
    drops: Mapping[str, int] = field(default_factory=dict)
    clips: Mapping[str, int] = field(default_factory=dict)
    cpu_percent: float = 0.0
    memory_mib: float = 0.0
    gpu_memory_mib: float = 0.0
    stages: Sequence[StageRow] = ()
    observation_age: StageRow | None = None
    models: Sequence[ModelRow] = ()
    health: Sequence[HealthRow] = ()
    nodes: Sequence[str] = ()
    topics: Sequence[TopicRow] = ()

    @property
    def total(self) -> StageRow | None:
        """Sensor to command; None before the first command."""
        return self.stages[-1] if self.stages else None

    @property
    def level(self) -> Level:
        """The worst level of ``/diagnostics``; STALE before the first."""
        return max((row.level for row in self.health), default=Level.STALE)
