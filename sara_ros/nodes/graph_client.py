"""Commands a running graph, as an operator would from a terminal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
import os
from threading import Thread, get_native_id
import time
from typing import Any, Final

from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
import rclpy
from rclpy.action import ActionClient
from rclpy.action.client import ClientGoalHandle
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.parameter_client import AsyncParameterClient
from rclpy.task import Future

from sara_ros.core import SaraError
from sara_ros.nodes.ros_time import NS
from sara_ros_msgs.action import RunPolicy
from sara_ros_msgs.srv import ResetScene

POLL_SEC: Final = 0.02
WATCHER_NICENESS: Final = 10
ANSWER_TIMEOUT_SEC: Final = 60.0
"""Longest wait for an answer; loading a model on a busy machine is the slowest of them."""
ASK_AGAIN_SEC: Final = 3.0
"""An answer that is sent before DDS has matched both ends is lost."""


class GraphError(SaraError):
    """The graph did not do what was asked of it."""


class GraphClient:
    """
    A node that steers the policy and the simulator; its callbacks run on their own thread.

    :param watch: called while waiting; raises when waiting has become pointless, for instance
        because a process died.
    """

    def __init__(self, *, domain_id: int, watch: Callable[[], None] = lambda: None) -> None:
        """Join the graph."""
        self._watch = watch
        self._failed: list[Exception] = []
        self._context = rclpy.Context()
        rclpy.init(context=self._context, domain_id=domain_id)
        self.node = Node('session', context=self._context)
        self._transitions = self.node.create_client(ChangeState, 'policy/change_state')
        self._parameters = AsyncParameterClient(self.node, 'policy')
        self._resets = self.node.create_client(ResetScene, 'simulator/reset_scene')
        self._runs = ActionClient(self.node, RunPolicy, 'policy/run_policy')
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self._thread = Thread(target=self._spin, name='graph_client', daemon=True)
        self._thread.start()

    def __enter__(self) -> GraphClient:
        """Return the client."""
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the graph."""
        self._executor.shutdown(timeout_sec=1.0)
        self._thread.join(timeout=2.0)
        self.node.destroy_node()
        self._context.try_shutdown()

    def now_ns(self) -> int:
        """Return the ROS time of this process."""
        return int(self.node.get_clock().now().nanoseconds)

    def wait_until(self, ready: Callable[[], bool], what: str, timeout_sec: float) -> None:
        """
        Wait while watching.

        :raises GraphError: when ``what`` has not happened within ``timeout_sec``.
        """
        deadline_ns = time.monotonic_ns() + int(timeout_sec * NS)
        while not ready():
            self._watch()
            if self._failed:
                raise GraphError('listening to the graph failed') from self._failed[0]
            if time.monotonic_ns() > deadline_ns:
                raise GraphError(f'{what}: nothing happened within {timeout_sec:g} s')
            time.sleep(POLL_SEC)

    def wait_for_policy(self) -> None:
        """Wait until the policy node can be commanded."""
        self._wait_for_services(self._transitions.service_is_ready, 'policy node')
        self._wait_for_services(self._runs.server_is_ready, 'run_policy action')
        self._wait_for_services(self._parameters.services_are_ready, 'policy parameters')

    def load(self, parameters: Mapping[str, Any]) -> None:
        """
        Configure and activate the policy node with ``parameters``.

        :raises GraphError: when the node refuses a parameter or a transition.
        """
        values = [Parameter(name, value=value) for name, value in parameters.items()]
        response = self._insist(lambda: self._parameters.set_parameters(values), 'set parameters')
        for name, result in zip(parameters, response.results, strict=True):
            if not result.successful:
                raise GraphError(f"the policy node refuses parameter '{name}': {result.reason}")
        self._change_state(Transition.TRANSITION_CONFIGURE, 'configure')
        self._change_state(Transition.TRANSITION_ACTIVATE, 'activate')

    def unload(self) -> None:
        """Deactivate the policy node and release its model."""
        self._change_state(Transition.TRANSITION_DEACTIVATE, 'deactivate')
        self._change_state(Transition.TRANSITION_CLEANUP, 'clean up')

    def reset_scene(self, seed: int, instruction: str) -> None:
        """
        Start an episode in the simulator.

        :raises GraphError: when the simulator does not know the instruction.
        """
        self._wait_for_services(self._resets.service_is_ready, 'simulator')
        request = ResetScene.Request(seed=seed, instruction=instruction)
        response = self._insist(lambda: self._resets.call_async(request), 'reset the scene')
        if not response.success:
            raise GraphError(f'the simulator cannot reset the scene: {response.message}')

    def run(
        self,
        instruction: str,
        *,
        timeout_sec: float,
        while_running: Callable[[], bool] = lambda: True,
    ) -> RunPolicy.Result:
        """
        Let the policy follow ``instruction`` and return how the run ended.

        :param while_running: called while waiting; the run is canceled once it returns False.
        """
        goal = RunPolicy.Goal(instruction=instruction, timeout_sec=timeout_sec)
        handle = self._answer(self._runs.send_goal_async(goal), f"start '{instruction}'")
        if not handle.accepted:
            raise GraphError(f"the policy node does not accept '{instruction}'")
        return self._result(handle, instruction, timeout_sec, while_running)

    def _result(
        self,
        handle: ClientGoalHandle,
        instruction: str,
        timeout_sec: float,
        while_running: Callable[[], bool],
    ) -> RunPolicy.Result:
        future = handle.get_result_async()
        canceled: list[Future] = []

        def finished() -> bool:
            if not canceled and not future.done() and not while_running():
                canceled.append(handle.cancel_goal_async())
            return bool(future.done())

        self.wait_until(finished, f"end of '{instruction}'", timeout_sec + ANSWER_TIMEOUT_SEC)
        return future.result().result

    def _change_state(self, transition: int, what: str) -> None:
        request = ChangeState.Request(transition=Transition(id=transition))
        response = self._answer(self._transitions.call_async(request), what)
        if not response.success:
            raise GraphError(f'the policy node could not {what}; its log says why')

    def _wait_for_services(self, ready: Callable[[], bool], what: str) -> None:
        self.wait_until(ready, f'waiting for the {what}', ANSWER_TIMEOUT_SEC)

    def _answer(self, future: Future, what: str) -> Any:
        self.wait_until(future.done, what, ANSWER_TIMEOUT_SEC)
        return future.result()

    def _insist(self, ask: Callable[[], Future], what: str) -> Any:
        """Return the answer to what may be asked twice, and is while no answer comes."""
        asked = [ask()]
        due_sec = time.monotonic() + ASK_AGAIN_SEC

        def answered() -> bool:
            nonlocal due_sec
            if time.monotonic() > due_sec:
                due_sec += ASK_AGAIN_SEC
                asked.append(ask())
            return any(future.done() for future in asked)

        self.wait_until(answered, what, ANSWER_TIMEOUT_SEC)
        return next(future.result() for future in asked if future.done())

    def _spin(self) -> None:
        # Watching and filming must not take the processor from what is watched.
        os.setpriority(os.PRIO_PROCESS, get_native_id(), WATCHER_NICENESS)
        try:
            self._executor.spin()
        except ExternalShutdownException:
            return
        except Exception as err:  # raised again where somebody waits
            self._failed.append(err)
