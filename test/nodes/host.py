"""Nodes under test in this process, in contexts of their own, and a station that talks to them."""

from __future__ import annotations

from threading import Thread
import time
from typing import ClassVar

from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rclpy.action import ActionClient
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter

from sara_ros.nodes import qos
from sara_ros_msgs.action import RunPolicy
from sara_ros_msgs.msg import PolicyStatus

TIMEOUT_SEC = 30.0
CONFIGURE = Transition.TRANSITION_CONFIGURE
ACTIVATE = Transition.TRANSITION_ACTIVATE
DEACTIVATE = Transition.TRANSITION_DEACTIVATE
CLEANUP = Transition.TRANSITION_CLEANUP


def until(condition, what='it', timeout_sec=TIMEOUT_SEC):
    """Wait until ``condition`` is true and return what it returned."""
    deadline = time.monotonic() + timeout_sec
    while not (value := condition()):
        assert time.monotonic() < deadline, f'waited {timeout_sec:g} s for {what}'
        time.sleep(0.01)
    return value


class Host:
    """
    Spins ``make(context=...)`` on a thread of its own; ``errors`` is what ended it early.

    A namespace of its own keeps a node apart from an earlier one of the same name, which other
    nodes may still see for a while. The context is not the host's: nodes of one context find
    others at once, while a new context takes up to 3 s to be found.
    """

    running: ClassVar[list[Host]] = []

    def __init__(self, context, make, *, namespace='', **parameters):
        overrides = [Parameter(name, value=value) for name, value in parameters.items()]
        self.node = make(context=context, namespace=namespace, parameter_overrides=overrides)
        self.errors = []
        self._executor = SingleThreadedExecutor(context=context)
        self._executor.add_node(self.node)
        self._thread = Thread(target=self._spin, daemon=True)
        self._thread.start()
        self.running.append(self)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.running.remove(self)
        close = getattr(self.node, 'close', None)
        if close is not None and self._thread.is_alive():
            until(self._executor.create_task(close).done, 'the node to close')
        self._executor.shutdown(timeout_sec=2.0)
        self._thread.join(timeout=5.0)
        self.node.destroy_node()
        assert not self.errors, self.errors

    def on_executor(self, call):
        """Return ``call()`` as the executor's thread makes it."""
        task = self._executor.create_task(call)
        until(task.done, 'the executor')
        return task.result()

    def _spin(self):
        try:
            self._executor.spin()
        except ExternalShutdownException:
            pass
        except BaseException as err:
            self.errors.append(err)


class Station(Host):
    """An operator's node: collects, publishes, calls services and sends goals in ``namespace``."""

    def __init__(self, context):
        super().__init__(context, lambda **kwargs: Node('station', **kwargs))
        self.namespace = ''

    def in_namespace(self, name):
        """Return the name of a topic or service."""
        return f'{self.namespace}/{name}' if self.namespace and name[0] != '/' else name

    def collect(self, kind, topic, profile=qos.COMMAND):
        """Return a list that grows with every message on ``topic``; running hosts know of it."""
        messages = []
        name = self.node.resolve_topic_name(self.in_namespace(topic))
        known = [
            (publisher, publisher.get_subscription_count())
            for host in self.running
            for publisher in host.node.publishers
            if publisher.topic_name == name
        ]
        self.node.create_subscription(kind, name, messages.append, profile)
        for publisher, count in known:
            until(lambda p=publisher, n=count: p.get_subscription_count() > n, f'ears for {name}')
        return messages

    def publisher(self, kind, topic, profile=qos.COMMAND):
        """Return a publisher that somebody listens to."""
        publisher = self.node.create_publisher(kind, self.in_namespace(topic), profile)
        until(publisher.get_subscription_count, f'a subscriber of {topic}')
        return publisher

    def call(self, kind, name, request=None):
        """Return the answer of a service."""
        client = self.node.create_client(kind, self.in_namespace(name))
        assert client.wait_for_service(TIMEOUT_SEC), name
        return self.answer(client.call_async(request or kind.Request()), name)

    def answer(self, future, what='an answer'):
        """Return the result of a future."""
        until(future.done, what)
        return future.result()

    def transition(self, transition, node='policy'):
        """Ask for a lifecycle transition and return whether it succeeded."""
        request = ChangeState.Request(transition=Transition(id=transition))
        return self.call(ChangeState, f'{node}/change_state', request).success

    def policy(self, node='policy'):
        """Return what can be asked of a policy node."""
        return PolicyClient(self, node)


class PolicyClient:
    """Goals for one policy node, and its status."""

    def __init__(self, station, node):
        self._station = station
        self.statuses = station.collect(PolicyStatus, f'{node}/status', qos.LATCHED)
        self._goals = ActionClient(
            station.node, RunPolicy, station.in_namespace(f'{node}/run_policy')
        )
        self.feedback = []
        assert self._goals.wait_for_server(TIMEOUT_SEC)

    @property
    def status(self):
        """The newest status."""
        return until(lambda: self.statuses, 'a status')[-1]

    @property
    def drops(self):
        """Dropped observations by reason."""
        return dict(zip(self.status.drop_reasons, self.status.drop_counts, strict=True))

    def wait(self, condition, what='a status'):
        """Wait until the newest status fulfils ``condition``, and return it."""
        until(lambda: condition(self.status), what)
        return self.status

    def send(self, instruction, timeout_sec=0.0, max_steps=0):
        """Start a run and return its goal handle."""
        goal = RunPolicy.Goal(
            instruction=instruction, timeout_sec=timeout_sec, max_steps=max_steps
        )
        sending = self._goals.send_goal_async(
            goal, lambda message: self.feedback.append(message.feedback)
        )
        handle = self._station.answer(sending, 'the goal to be accepted')
        assert handle.accepted
        return handle

    def result(self, handle):
        """Return the action status and the result of a run."""
        response = self._station.answer(handle.get_result_async(), 'the result of the run')
        return response.status, response.result

    def run(self, instruction, **limits):
        """Return the result of a whole run."""
        return self.result(self.send(instruction, **limits))[1]
