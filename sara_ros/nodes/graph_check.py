"""Joins a graph for a few seconds and checks what a policy would get from it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from threading import Lock
import time
from typing import Any, Final

from geometry_msgs.msg import PoseStamped, TwistStamped
import rclpy
from rclpy.exceptions import NameValidationException
from rclpy.node import Node
from rclpy.serialization import deserialize_message
from rclpy.validate_namespace import validate_namespace
from rosgraph_msgs.msg import Clock
from std_msgs.msg import String
from trajectory_msgs.msg import JointTrajectory

from sara_ros.core import ObservationSpec, ParameterError, PolicySpec
from sara_ros.core.errors import describe
from sara_ros.decoding.observations import default_topic
from sara_ros.decoding.transforms import StaticTransforms
from sara_ros.evaluation.doctor.middleware import domains_in_use
from sara_ros.evaluation.doctor.result import CheckResult, error, ok, warning
from sara_ros.evaluation.mcap_log import Topic
from sara_ros.nodes import qos
from sara_ros.nodes.intake import STATES, message_type
from sara_ros.nodes.ros_time import to_ns
from sara_ros.nodes.serving_policy import ServingPolicy, ask_policy
from sara_ros.nodes.topic_check import (
    Arrivals,
    Input,
    Times,
    check_endpoints,
    check_messages,
    suggest,
)
from sara_ros.nodes.topic_tap import TopicTap
from sara_ros_msgs.msg import EndEffectorAction

DISCOVERY_SEC: Final = 3.5
POLL_SEC: Final = 0.05
CLOCK: Final = '/clock'


def check_graph(
    spec: PolicySpec,
    *,
    seconds: float = 3.0,
    namespace: str = '',
    topics: Mapping[str, str] | None = None,
    domain_id: int | None = None,
) -> list[CheckResult]:
    """
    Listen for ``seconds`` and check what a policy with ``spec`` reads and writes.

    :param namespace: of the policy and, as far as its topics are relative, of the sensors.
    :param topics: topics of observations by name, where they differ from the policy's.
    :param domain_id: ROS domain; None for that of the environment.
    :raises ParameterError: for a name that is not valid, an observation that the policy does not
        have, and a time that is not above 0.
    """
    topics = topics or {}
    if not seconds > 0:
        raise ParameterError(f'--seconds is {seconds:g}; it must be above 0')
    unknown = sorted(topics.keys() - {need.name for need in spec.observations})
    if unknown:
        known = ', '.join(need.name for need in spec.observations)
        raise ParameterError(f"--topic: '{unknown[0]}' is no observation; there are: {known}")
    with _joined(namespace, domain_id) as node:
        return _Visit(node, spec, seconds, topics).results()


def input_topics(
    spec: PolicySpec, topics: Mapping[str, str], resolve: Callable[[str], str]
) -> list[Input]:
    """Return the topics that the needs of ``spec`` are read from, in their order."""
    by_topic: dict[str, list[ObservationSpec]] = defaultdict(list)
    for need in spec.observations:
        by_topic[topics.get(need.name) or default_topic(need, spec)].append(need)
    return [_input(topic, needs, spec, resolve) for topic, needs in by_topic.items()]


def output_topics(spec: PolicySpec, base: str = 'policy') -> dict[str, Any]:
    """Return type by relative topic of the commands that a robot may obey."""
    if spec.action.kind == 'end_effector_delta':
        return {f'{base}/action': EndEffectorAction, f'{base}/twist_cmd': TwistStamped}
    return {f'{base}/joint_trajectory': JointTrajectory}


def _input(
    topic: str, needs: list[ObservationSpec], spec: PolicySpec, resolve: Callable[[str], str]
) -> Input:
    polled = all(need.kind in STATES and need is not spec.driver for need in needs)
    profile = qos.STATE if polled else qos.SENSOR
    return Input(resolve(topic), message_type(needs[0], topic), profile, tuple(needs))


@contextmanager
def _joined(namespace: str, domain_id: int | None) -> Iterator[Node]:
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=domain_id)
    try:
        validate_namespace('/' + namespace.lstrip('/'))
        node = Node('doctor', context=context, namespace=namespace, use_global_arguments=False)
        try:
            yield node
        finally:
            node.destroy_node()
    except NameValidationException as err:
        raise ParameterError(f'--namespace or --topic: {describe(err)}') from err
    finally:
        context.try_shutdown()


class _Visit:
    """One stay in a graph."""

    def __init__(
        self, node: Node, spec: PolicySpec, seconds: float, topics: Mapping[str, str]
    ) -> None:
        self._node = node
        self._spec = spec
        self._seconds = seconds
        self._topics = topics
        self._lock = Lock()
        self._received_ns: dict[str, list[int]] = defaultdict(list)
        self._newest: dict[str, bytes] = {}

    def results(self) -> list[CheckResult]:
        """Listen, and return what was found."""
        policy = self._meet()
        topics = {**(policy.topics if policy else {}), **self._topics}
        inputs = input_topics(self._spec, topics, self._node.resolve_topic_name)
        if policy and policy.workspace:
            inputs += self._guarded_pose(policy, inputs)
        self._listen(inputs)
        transforms = StaticTransforms(policy.static_transforms) if policy else None
        times = self._times(bool(policy and policy.use_sim_time))
        return [
            self._check_nodes(),
            self._check_policy(policy, times),
            *(result for each in inputs for result in self._check_input(each, times, transforms)),
            *self._check_instruction(),
            *self._check_outputs(bool(policy and policy.dry_run)),
        ]

    def _meet(self) -> ServingPolicy | None:
        """Wait until others are known, and ask the policy node, if there is one."""
        name = self._node.resolve_topic_name('policy')
        self._wait(lambda: name in self._others(), DISCOVERY_SEC)
        if name not in self._others():
            return None
        return ask_policy(self._node, name, [need.name for need in self._spec.observations])

    def _guarded_pose(self, policy: ServingPolicy, inputs: Sequence[Input]) -> list[Input]:
        """Return the pose that a workspace is judged by, unless it is an observation as well."""
        topic = self._node.resolve_topic_name(policy.ee_pose_topic)
        if topic in {each.topic for each in inputs}:
            return []
        need = ObservationSpec(
            'workspace', 'pose', (7,), 'm', self._spec.action.frame, policy.ee_pose_timeout_sec
        )
        return [Input(topic, PoseStamped, qos.SENSOR, (need,), 'ee_pose_topic')]

    def _listen(self, inputs: Sequence[Input]) -> None:
        wanted = [(each.kind, each.topic, each.profile) for each in inputs]
        tap = TopicTap(self._node, [*wanted, (Clock, CLOCK, qos.SENSOR)], self._receive)
        try:
            # A publisher may take a while to learn of a new subscription.
            topics = [each.topic for each in inputs if self._node.count_publishers(each.topic)]
            self._wait(lambda: all(topic in self._newest for topic in topics), DISCOVERY_SEC)
            time.sleep(self._seconds)
        finally:
            tap.close()

    def _receive(self, topic: Topic, received_ns: int, data: bytes) -> None:
        with self._lock:
            self._received_ns[topic.name].append(received_ns)
            self._newest[topic.name] = data

    def _times(self, simulated: bool) -> Times:
        if CLOCK not in self._newest:
            return Times(simulated=simulated)
        clock = deserialize_message(self._newest[CLOCK], Clock).clock
        return Times(to_ns(clock) - self._received_ns[CLOCK][-1], simulated)

    def _check_nodes(self) -> CheckResult:
        others = self._others()
        domain = self._node.context.get_domain_id()
        if others:
            few = ', '.join(sorted(others)[:6]) + (', ...' if len(others) > 6 else '')
            return ok('nodes', f'{len(others)} in domain {domain}: {few}')
        elsewhere = sorted(domains_in_use() - {domain})
        if elsewhere:
            found = ', '.join(map(str, elsewhere))
            advice = f'this machine has nodes in domain {found}: export ROS_DOMAIN_ID={found}'
            if len(elsewhere) > 1:
                advice = f'this machine has nodes in the domains {found}: set ROS_DOMAIN_ID so'
        else:
            advice = (
                'start the robot or the simulator; on another machine, let ROS_DOMAIN_ID be the '
                'same and ROS_AUTOMATIC_DISCOVERY_RANGE be SUBNET on both, and multicast pass'
            )
        return error('nodes', f'none but this one in domain {domain}', advice)

    def _check_policy(self, policy: ServingPolicy | None, times: Times) -> CheckResult:
        check = f'node {self._node.resolve_topic_name("policy")}'
        if policy is None:
            return ok(check, 'not running; topics are checked as it would subscribe to them')
        seen = f'serves {policy.model or "an unknown model"}'
        if policy.model and policy.model != self._spec.model_id:
            advice = f'check that one with --model {policy.model}'
            return warning(check, f'{seen}, not {self._spec.model_id}', advice)
        if policy.use_sim_time and times.ahead_ns is None:
            advice = 'start what publishes /clock, or the policy with use_sim_time:=false'
            return error(check, f'{seen} with use_sim_time, and nobody publishes /clock', advice)
        return ok(check, seen + (' with use_sim_time' if policy.use_sim_time else ''))

    def _check_input(
        self, topic: Input, times: Times, transforms: StaticTransforms | None
    ) -> list[CheckResult]:
        publishers = self._node.get_publishers_info_by_topic(topic.topic)
        if not publishers:
            known = {
                name: kinds
                for name, kinds in self._node.get_topic_names_and_types()
                if self._node.count_publishers(name)
            }
            return [error(topic.check, 'nobody publishes it', suggest(topic, known))]
        results = check_endpoints(topic, publishers, publishers=True)
        if topic.topic in self._newest:
            arrivals = Arrivals(self._received_ns[topic.topic], self._newest[topic.topic])
            heard = check_messages(topic, arrivals, self._spec, times=times, transforms=transforms)
            return [*results, heard]
        return results or [
            error(
                topic.check,
                f'publishers: {len(publishers)}, nothing arrived within {self._seconds:g} s',
                'see whether its driver runs and gets data; give its process the RMW profile as '
                'well; between machines let the firewall pass UDP',
            )
        ]

    def _check_instruction(self) -> list[CheckResult]:
        topic = Input(
            self._node.resolve_topic_name('policy/instruction'), String, qos.COMMAND
        )  # fmt: skip
        publishers = self._node.get_publishers_info_by_topic(topic.topic)
        results = check_endpoints(topic, publishers, publishers=True)
        if publishers and not results:
            results = [ok(topic.check, f'publishers: {len(publishers)}, QoS fits')]
        return results

    def _check_outputs(self, dry_run: bool) -> list[CheckResult]:
        base = 'policy/dry_run' if dry_run else 'policy'
        results, silent = [], []
        for name, kind in output_topics(self._spec, base).items():
            topic = Input(self._node.resolve_topic_name(name), kind, qos.COMMAND)
            subscribers = self._node.get_subscriptions_info_by_topic(topic.topic)
            found = check_endpoints(topic, subscribers, publishers=False)
            if not subscribers:
                silent.append(topic.topic)
            elif not found:
                found = [ok(topic.check, f'subscribers: {len(subscribers)}, QoS fits')]
            results += found
        if results:
            return results
        if dry_run:
            return [ok('commands', f'dry run: they go to {" and ".join(silent)}, nothing moves')]
        advice = 'start the controller of the robot, or remap its command topic to one of them'
        return [warning('commands', f'nobody subscribes to {" or ".join(silent)}', advice)]

    def _others(self) -> set[str]:
        own = self._node.get_fully_qualified_name()
        found = self._node.get_node_names_and_namespaces()
        names = {f'{space.rstrip("/")}/{name}' for name, space in found if name[0] != '_'}
        return names - {own}

    def _wait(self, ready: Callable[[], bool], timeout_sec: float) -> None:
        deadline = time.monotonic() + timeout_sec
        while not ready() and time.monotonic() < deadline:
            time.sleep(POLL_SEC)
