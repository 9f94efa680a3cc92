"""Changes the model of a running graph, as an operator would from a terminal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from std_msgs.msg import String

from sara_ros.core.swap import SwapState
from sara_ros.nodes import qos
from sara_ros.nodes.graph_client import ANSWER_TIMEOUT_SEC, GraphClient
from sara_ros_msgs import msg
from sara_ros_msgs.srv import EndShadow, Rollback, SwapModel

TRIAL_TIMEOUT_SEC: Final = 60.0


class ModelOperator:
    """
    Calls the services of the model manager, and keeps what it and the policy node say of it.

    :param while_waiting: called over and over while an answer is awaited.
    """

    def __init__(
        self, client: GraphClient, while_waiting: Callable[[], None] = lambda: None
    ) -> None:
        """Join in."""
        self._client = client
        self._while_waiting = while_waiting
        self.statuses: list[msg.SwapStatus] = []
        self.reports: list[msg.ShadowReport] = []
        node = client.node
        kinds = {'swap_model': SwapModel, 'end_shadow': EndShadow, 'rollback': Rollback}
        self._services = {
            name: node.create_client(kind, f'model_manager/{name}') for name, kind in kinds.items()
        }
        self._instruct = node.create_publisher(String, 'policy/instruction', qos.COMMAND)
        self._subscriptions = [
            node.create_subscription(
                msg.SwapStatus, 'policy/swap_status', self.statuses.append, qos.EACH_STATE
            ),
            node.create_subscription(
                msg.ShadowReport, 'model_manager/shadow_report', self.reports.append, qos.COMMAND
            ),
        ]

    def wait_until(self, ready: Callable[[], bool], what: str, timeout_sec: float) -> None:
        """Wait as :meth:`GraphClient.wait_until` does."""

        def look() -> bool:
            self._while_waiting()
            return ready()

        self._client.wait_until(look, what, timeout_sec)

    def wait_for_manager(self) -> None:
        """Wait until the manager can be asked, and knows of the policy node."""
        for name, service in self._services.items():
            self.wait_until(service.service_is_ready, f'waiting for {name}', ANSWER_TIMEOUT_SEC)
        self.wait_until(lambda: bool(self.statuses), 'a swap status', ANSWER_TIMEOUT_SEC)

    def instruct(self, instruction: str) -> None:
        """Start a run without limits; what is followed already goes on."""
        self._instruct.publish(String(data=instruction))

    def swap(self, **wanted: str) -> SwapModel.Response:
        """
        Return the answer to a change of model.

        :param wanted: fields of the request, such as ``model_id``.
        """
        return self._ask('swap_model', SwapModel.Request(**wanted))

    def shadow(self, **wanted: str) -> SwapModel.Response:
        """Return the answer to a shadow run; see :meth:`swap`."""
        return self._ask('swap_model', SwapModel.Request(shadow=True, **wanted))

    def end_shadow(self, *, promote: bool, reason: str = '') -> EndShadow.Response:
        """Return the answer to the end of a shadow run."""
        return self._ask('end_shadow', EndShadow.Request(promote=promote, reason=reason))

    def rollback(self) -> Rollback.Response:
        """Return the answer to a rollback."""
        return self._ask('rollback', Rollback.Request())

    def verdict(self, candidate: str, seen: int) -> msg.ShadowReport:
        """
        Return the report in which the rule has decided on a shadow.

        :param candidate: its model id.
        :param seen: reports before its run.
        """
        found: list[msg.ShadowReport] = []

        def decided() -> bool:
            found[:] = [
                each
                for each in self.reports[seen:]
                if each.verdict and each.candidate.model_id == candidate
            ]
            return bool(found)

        self.wait_until(decided, f"a verdict on '{candidate}'", TRIAL_TIMEOUT_SEC)
        return found[-1]

    def settled(self, seen: int) -> msg.SwapStatus:
        """
        Return the status that ends the change under way.

        :param seen: statuses before the change.
        """

        def over() -> bool:
            return len(self.statuses) > seen and SwapState(self.statuses[-1].state).settled

        self.wait_until(over, 'end of the change', TRIAL_TIMEOUT_SEC)
        return self.statuses[-1]

    def _ask(self, name: str, request: Any) -> Any:
        future = self._services[name].call_async(request)
        self.wait_until(future.done, name, ANSWER_TIMEOUT_SEC)
        return future.result()
