"""What happened in one session, and the report made from it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import PurePosixPath
from typing import Any, Final

from sara_ros.core.errors import ParameterError
from sara_ros.evaluation.samples import CommandSample, command_rate_hz, summarise

SCHEMA: Final = 'sara_ros.session/1'
KINDS: Final = ('demo', 'demo-real')


@dataclass(frozen=True, slots=True)
class Episode:
    """
    One instruction followed from start to end.

    :ivar policy: model id of the policy that drove it.
    :ivar learned: False for the scripted expert.
    :ivar success: None where nobody can tell, as on a recording.
    :ivar steps: commands published.
    """

    index: int
    instruction: str
    policy: str
    kind: str
    learned: bool
    success: bool | None
    termination_reason: str
    steps: int
    duration_sec: float
    command_rate_hz: float | None
    seed: int | None = None
    message: str = ''
    note: str = ''


@dataclass(frozen=True, slots=True)
class RosFacts:
    """The ROS 2 a session ran on."""

    distro: str
    rmw: str
    domain_id: int
    rclpy: str


@dataclass(frozen=True, slots=True)
class ProcessFacts:
    """One process of the session."""

    name: str
    pid: int


@dataclass(frozen=True, slots=True)
class PolicyFacts:
    """What a model id stands for; ``attention_backend`` is None for a policy without one."""

    learned: bool
    attention_backend: str | None = None


@dataclass(frozen=True, slots=True)
class CommandCounts:
    """Commands published, and what the command timer and the safety guard did to them."""

    count: int
    rate_hz: float | None
    holds: int
    deadline_misses: int
    clipped_values: int

    @classmethod
    def of(
        cls, samples: Sequence[CommandSample], *, deadline_misses: int, clipped_values: int
    ) -> CommandCounts:
        """Count ``samples``; their rate leaves out pauses between episodes."""
        holds = sum(sample.hold for sample in samples)
        rate_hz = command_rate_hz(samples)
        return cls(len(samples), rate_hz, holds, deadline_misses, clipped_values)


@dataclass(frozen=True, slots=True)
class FrameCounts:
    """Camera frames between processes; ``lost`` were published and never received."""

    published: int
    received: int
    lost: int
    rate_hz: float | None
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Source:
    """A recording that was played into the graph."""

    name: str
    kind: str
    topic: str
    messages: int
    rate_hz: float | None
    licence: str
    note: str = ''


@dataclass(frozen=True, slots=True)
class Session:
    """
    Everything a report tells.

    :ivar created: start of the session, ISO 8601 in UTC.
    :ivar first_command_sec: from that start to the first command; None when there was none.
    :ivar policies: facts by model id.
    :ivar messages_in: messages received by the nodes under test, by topic.
    :ivar messages_out: messages they published, by topic.
    :ivar files: paths relative to the report, by name.
    :raises ParameterError: for an unknown kind, or a file path that leaves the report's folder.
    """

    kind: str
    created: str
    duration_sec: float
    first_command_sec: float | None
    machine: Mapping[str, Any]
    ros: RosFacts
    processes: Sequence[ProcessFacts]
    episodes: Sequence[Episode]
    commands: CommandCounts
    samples: Sequence[CommandSample]
    policies: Mapping[str, PolicyFacts]
    frames: FrameCounts
    dropped: Mapping[str, int]
    messages_in: Mapping[str, int]
    messages_out: Mapping[str, int]
    sources: Sequence[Source] = ()
    notes: Sequence[str] = ()
    files: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse what would make the report wrong or tie it to one machine."""
        if self.kind not in KINDS:
            raise ParameterError(f'session kind {self.kind!r} is none of {", ".join(KINDS)}')
        for name, text in self.files.items():
            path = PurePosixPath(text)
            if path.is_absolute() or '..' in path.parts:
                raise ParameterError(f'files[{name!r}]: {text!r} must be relative to the report')

    def to_report(self) -> dict[str, Any]:
        """Return the content of ``report.json``; percentiles of no commands are null."""
        latency = summarise(self.samples)
        return {
            'schema': SCHEMA,
            'kind': self.kind,
            'created': self.created,
            'duration_sec': round(self.duration_sec, 3),
            'first_command_sec': _rounded(self.first_command_sec),
            'machine': dict(self.machine),
            'ros': asdict(self.ros),
            'processes': _dicts(self.processes),
            'episodes': _dicts(self.episodes),
            'commands': asdict(self.commands),
            'sensor_to_command_ms': latency['sensor_to_command_ms'],
            'sensor_to_command_minus_inference_ms': latency[
                'sensor_to_command_minus_inference_ms'
            ],
            'stages_ms': latency['stages_ms'],
            'by_policy': self._by_policy(latency['by_policy']),
            'frames': asdict(self.frames),
            'dropped': dict(sorted(self.dropped.items())),
            'warm_up_excluded': latency['warm_up_excluded'],
            'messages': {'in': dict(self.messages_in), 'out': dict(self.messages_out)},
            'sources': _dicts(self.sources),
            'notes': list(self.notes),
            'files': dict(self.files),
        }

    def _by_policy(self, latency: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        unknown = set(latency) - set(self.policies)
        if unknown:
            raise ParameterError(f'commands of unknown policies: {", ".join(sorted(unknown))}')
        nothing = summarise(())
        del nothing['by_policy']
        return {
            model: {**asdict(facts), **latency.get(model, nothing)}
            for model, facts in self.policies.items()
        }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def _dicts(values: Iterable[Any]) -> list[dict[str, Any]]:
    return [asdict(value) for value in values]
