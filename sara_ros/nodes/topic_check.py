"""Judges what was seen of one topic that a policy reads or writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from rclpy.duration import Infinite
from rclpy.qos import LivelinessPolicy, QoSCompatibility, QoSProfile, qos_check_compatible
from rclpy.serialization import deserialize_message

from sara_ros.core import ObservationError, ObservationSpec, PolicySpec
from sara_ros.core.errors import describe
from sara_ros.decoding.observations import check_stamp, decode
from sara_ros.decoding.transforms import StaticTransforms
from sara_ros.evaluation.doctor.result import CheckResult, error, ok, warning
from sara_ros.nodes.message_definitions import type_name
from sara_ros.nodes.ros_time import NS, to_ns

RATE_SHARE: Final = 0.9
"""Rates below this share of what is needed are told of."""


@dataclass(frozen=True, slots=True)
class Input:
    """A topic that a policy reads, by its resolved name, and the needs it is read for."""

    topic: str
    kind: Any
    profile: QoSProfile
    needs: tuple[ObservationSpec, ...] = ()
    parameter: str = ''

    @property
    def parameters(self) -> str:
        """Parameters of the policy that name the topic."""
        return self.parameter or ' and '.join(f'topics.{need.name}' for need in self.needs)

    @property
    def check(self) -> str:
        """How the report calls it."""
        return f'topic {self.topic}'

    def least_hz(self, spec: PolicySpec) -> float:
        """Return the rate below which the policy lacks observations."""
        rates = [
            spec.action.rate_hz / spec.action.horizon
            if need.name == spec.driver.name
            else 1 / need.max_age_sec
            for need in self.needs
        ]
        return max(rates, default=0.0)


@dataclass(frozen=True, slots=True)
class Arrivals:
    """
    What arrived on a topic.

    :param received_ns: times of reception, ns since 1970.
    :param newest: the last message, serialised.
    """

    received_ns: Sequence[int]
    newest: bytes

    @property
    def rate_hz(self) -> float | None:
        """Messages per second; None for fewer than two."""
        span_ns = self.received_ns[-1] - self.received_ns[0]
        return (len(self.received_ns) - 1) * NS / span_ns if span_ns > 0 else None


@dataclass(frozen=True, slots=True)
class Times:
    """
    Which time stamps are compared with.

    :param ahead_ns: by how much ``/clock`` is ahead of this machine; None without a ``/clock``.
    :param simulated: whether the policy goes by ``/clock``.
    """

    ahead_ns: int | None = None
    simulated: bool = False

    def now_ns(self, received_ns: int) -> int:
        """Return the time of the policy at ``received_ns`` of this machine."""
        return received_ns + (self.ahead_ns or 0 if self.simulated else 0)


def check_endpoints(
    topic: Input, endpoints: Sequence[Any], *, publishers: bool
) -> list[CheckResult]:
    """
    Check types and quality of service of others on a topic of ours.

    :param endpoints: their ``TopicEndpointInfo``.
    :param publishers: whether they publish what we read, or read what we publish.
    """
    results = []
    ours = _spelled_out(topic.profile)
    does, let = ('publishes', 'publish') if publishers else ('subscribes to', 'subscribe to')
    for each in endpoints:
        node = f'{each.node_namespace.rstrip("/")}/{each.node_name}'
        wanted = type_name(topic.kind)
        if each.topic_type != wanted:
            seen = f'{node} {does} {each.topic_type}, the policy has {wanted}'
            results.append(error(topic.check, seen, _other_type(topic, publishers)))
            continue
        pair = (each.qos_profile, ours) if publishers else (ours, each.qos_profile)
        if reason := mismatch(*pair):
            advice = f'let {node} {let} {topic.topic} {_words(ours)}'
            results.append(error(topic.check, f'QoS with {node}: {reason}', advice))
    return results


def mismatch(publisher: QoSProfile, subscription: QoSProfile) -> str:
    """Return why two profiles exchange nothing; empty when they do."""
    compatibility, reasons = qos_check_compatible(publisher, subscription)
    if compatibility != QoSCompatibility.ERROR:
        return ''
    found = [each.strip() for each in reasons.split(';')]
    return ', '.join(each.removeprefix('ERROR: ') for each in found if each.startswith('ERROR'))


def check_messages(
    topic: Input,
    arrivals: Arrivals,
    spec: PolicySpec,
    *,
    times: Times,
    transforms: StaticTransforms | None,
) -> CheckResult:
    """
    Check rate, stamp, frame and content of what arrived.

    :param transforms: those of the policy; None when no policy runs that could state them.
    """
    message = deserialize_message(arrivals.newest, topic.kind)
    received_ns = arrivals.received_ns[-1]
    seen = _described(message, arrivals, received_ns, times)
    problem = _problem(topic, message, received_ns, transforms, times)
    if problem is not None:
        report = warning if problem.perhaps else error
        return report(topic.check, f'{seen}: {problem.seen}', problem.advice)
    least_hz, rate_hz = topic.least_hz(spec), arrivals.rate_hz
    if rate_hz is None or rate_hz < RATE_SHARE * least_hz:
        names = ', '.join(need.name for need in topic.needs)
        return warning(
            topic.check, f'{seen}: too slow for {names}, which needs {least_hz:.1f} Hz',
            'raise the rate of its driver; where images come over Wi-Fi, publish compressed ones',
        )  # fmt: skip
    return ok(topic.check, seen)


@dataclass(frozen=True, slots=True)
class _Problem:
    """Why a message cannot be used, what to do, and whether that may have been done already."""

    seen: str
    advice: str
    perhaps: bool = False


def _problem(
    topic: Input,
    message: Any,
    received_ns: int,
    transforms: StaticTransforms | None,
    times: Times,
) -> _Problem | None:
    stamp_ns = to_ns(message.header.stamp)
    for need in topic.needs:
        try:
            check_stamp(need, stamp_ns, times.now_ns(received_ns))
        except ObservationError as err:
            seen, _, advice = describe(err).partition('; ')
            return _other_clock(need, stamp_ns, received_ns, times) or _Problem(seen, advice)
        try:
            decode(need, message, transforms or StaticTransforms(()))
        except Exception as err:  # whatever a driver publishes
            return _undecodable(topic, need, err, transforms)
    return None


def _undecodable(
    topic: Input, need: ObservationSpec, err: Exception, transforms: StaticTransforms | None
) -> _Problem:
    text = describe(err)
    if isinstance(err, ObservationError) and err.reason == 'frame':
        seen, _, advice = text.partition('; ')
        return _Problem(seen, advice, perhaps=need.kind == 'points' and transforms is None)
    return _Problem(
        text,
        f'let its driver publish what the model needs, or set the parameter '
        f'{topic.parameters} to a topic that has it',
    )


def _other_clock(
    need: ObservationSpec, stamp_ns: int, received_ns: int, times: Times
) -> _Problem | None:
    """Return what to do where the other clock would fit."""
    other = Times(times.ahead_ns, not times.simulated)
    if times.ahead_ns is None or stamp_ns == 0:
        return None
    try:
        check_stamp(need, stamp_ns, other.now_ns(received_ns))
    except ObservationError:
        return None
    if times.simulated:
        return _Problem(
            'it carries the time of this machine, the policy goes by /clock',
            'start the policy with use_sim_time:=false',
        )
    return _Problem(
        'it carries the time of /clock, the policy that of this machine',
        'start the policy with use_sim_time:=true',
    )


def _described(message: Any, arrivals: Arrivals, received_ns: int, times: Times) -> str:
    rate_hz = arrivals.rate_hz
    stamp_ns = to_ns(message.header.stamp)
    parts = [
        'one message' if rate_hz is None else f'{rate_hz:.1f} Hz',
        f'age {(times.now_ns(received_ns) - stamp_ns) / 1e6:,.0f} ms' if stamp_ns else 'no stamp',
        f"frame '{message.header.frame_id}'" if message.header.frame_id else 'no frame',
    ]
    return ', '.join(parts)


def _other_type(topic: Input, publishers: bool) -> str:
    if not publishers:
        return f'remap {topic.topic}, or convert it before that node'
    compressed = any(need.kind == 'image' for need in topic.needs)
    hint = '; compressed images are read from topics that end in "compressed"'
    return (
        f'let the parameter {topic.parameters} of the policy name a topic of this type, or remap '
        'the other'
        f'{hint if compressed else ""}'
    )


def _spelled_out(profile: QoSProfile) -> QoSProfile:
    """Return ``profile`` as the graph tells of it: what is not stated counts as a mismatch."""
    return QoSProfile(
        reliability=profile.reliability,
        durability=profile.durability,
        history=profile.history,
        depth=profile.depth,
        deadline=Infinite,
        lifespan=Infinite,
        liveliness=LivelinessPolicy.AUTOMATIC,
        liveliness_lease_duration=Infinite,
    )


def _words(profile: QoSProfile) -> str:
    policies = (profile.reliability.name, profile.durability.name)
    words = [each.lower().replace('_', ' ') for each in policies]
    return f'{words[0]} and {words[1]}, without deadline or liveliness lease'


def suggest(topic: Input, known: Mapping[str, Sequence[str]]) -> str:
    """Return what to do about a topic that nobody publishes, among the topics in ``known``."""
    wanted = type_name(topic.kind)
    others = sorted(name for name, kinds in known.items() if wanted in kinds)
    if not others:
        return 'start its driver; nothing else in this domain has its type'
    return (
        f'published with its type: {", ".join(others[:4])}; set the parameter '
        f'{topic.parameters} of the '
        'policy to one of them and check again with --topic, or name the --namespace'
    )
