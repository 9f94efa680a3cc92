"""The model manager's side of a hot swap: verifies a model, then asks the policy node."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
import time
from typing import Any, Final

from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.client import Client
from rclpy.clock import Clock, ClockType
from rclpy.node import Node

from sara_ros.core import SCRIPTED_EXPERT, ParameterError, SaraError
from sara_ros.core.errors import describe
from sara_ros.core.shadow import ShadowVerdict
from sara_ros.nodes import qos
from sara_ros.nodes.deferred import in_background
from sara_ros.nodes.parameters import ParameterSpec, value
from sara_ros.policies.loading import verify
from sara_ros_msgs.msg import SwapStatus
from sara_ros_msgs.srv import EndShadow, Rollback, SwapModel

PARAMETERS: Final = (
    ParameterSpec('swap_timeout_sec', 120.0, 'Longest wait for the policy node to swap a model.',
                  low=1.0, high=3600.0),
)  # fmt: skip
POLL_SEC: Final = 0.2
SERVICES: Final = {'swap_model': SwapModel, 'end_shadow': EndShadow, 'rollback': Rollback}


class SwapClient:
    """
    Offers ``~/swap_model``, ``~/end_shadow`` and ``~/rollback`` of a policy node.

    A model is verified here, in another process than the one that drives, before the policy node
    hears of it; that one then takes no other weights than those.

    :param models_dir: returns the folder of the models.
    :param changed: receives every SwapStatus of the policy node.
    """

    def __init__(
        self,
        node: Node,
        *,
        models_dir: Callable[[], Path],
        changed: Callable[[SwapStatus], None],
    ) -> None:
        """Offer the services; they refuse until :meth:`listen` was called."""
        self._node = node
        self._models_dir = models_dir
        self._changed = changed
        self._clients: dict[str, Client] = {}
        self._subscription: Any = None
        self._verifying = ''
        self.status = SwapStatus()
        # A callback that awaits would hold up all others of a group that is not reentrant.
        self._group = ReentrantCallbackGroup()
        self._services = [
            node.create_service(kind, f'~/{name}', callback, callback_group=self._group)
            for (name, kind), callback in zip(
                SERVICES.items(),
                (self._on_swap, self._on_end_shadow, self._on_rollback),
                strict=True,
            )
        ]

    def listen(self, policy: str) -> None:
        """Find the node ``policy``."""
        for name, kind in SERVICES.items():
            self._clients[name] = self._node.create_client(
                kind, f'{policy}/{name}', callback_group=self._group
            )
        self._subscription = self._node.create_subscription(
            SwapStatus, f'{policy}/swap_status', self._on_status, qos.LATCHED
        )

    def ignore(self) -> None:
        """Let go of the policy node."""
        for client in self._clients.values():
            self._node.destroy_client(client)
        self._clients.clear()
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
        self._subscription = None
        self.status = SwapStatus()

    def decide(self, verdict: ShadowVerdict, reason: str) -> None:
        """Promote or discard the shadow, as the rule says."""
        request = EndShadow.Request(
            promote=verdict is ShadowVerdict.PROMOTE, reason=f'by rule: {reason}'
        )
        self._node.executor.create_task(self._on_end_shadow, request, EndShadow.Response())

    def _on_status(self, message: SwapStatus) -> None:
        self.status = message
        self._changed(message)

    async def _on_swap(
        self, request: SwapModel.Request, response: SwapModel.Response
    ) -> SwapModel.Response:
        if self._verifying:
            response.message = (
                f"'{self._verifying}' is being verified for a swap; wait for its end"
            )
            return self._where(response)
        self._verifying = request.model_id or self.status.active.model_id
        try:
            return await self._swap(request)
        except SaraError as err:
            response.message = describe(err)
            return self._where(response)
        finally:
            self._verifying = ''

    async def _swap(self, request: SwapModel.Request) -> SwapModel.Response:
        self._client('swap_model')
        model_id, folder = self._verifying, self._models_dir()
        if not model_id:
            raise ParameterError('model_id is empty and no model is known to serve; name one')
        if model_id != SCRIPTED_EXPERT:
            stored = await in_background(self._node, lambda: verify(folder, model_id))
            stated = str(stored.weights['sha256'])
            request.weights_sha256 = request.weights_sha256 or stated
        return await self._ask('swap_model', request)

    async def _on_end_shadow(
        self, request: EndShadow.Request, response: EndShadow.Response
    ) -> EndShadow.Response:
        return await self._forward('end_shadow', request, response)

    async def _on_rollback(
        self, request: Rollback.Request, response: Rollback.Response
    ) -> Rollback.Response:
        return await self._forward('rollback', request, response)

    async def _forward(self, name: str, request: Any, response: Any) -> Any:
        try:
            return await self._ask(name, request)
        except SaraError as err:
            response.message = describe(err)
            return self._where(response)

    def _where(self, response: Any) -> Any:
        """Say where things stand in an answer that the policy node did not give."""
        response.state = self.status.state
        response.active_model_id = self.status.active.model_id
        return response

    def _client(self, name: str) -> Client:
        client = self._clients.get(name)
        if client is None:
            raise ParameterError('the model manager is not active; activate it first')
        if not client.service_is_ready():
            raise ParameterError(
                f"no policy node offers {client.srv_name}; start it, or set parameter 'policy'"
            )
        return client

    async def _ask(self, name: str, request: Any) -> Any:
        client, timeout_sec = self._client(name), value(self._node, 'swap_timeout_sec')
        future = client.call_async(request)
        deadline_sec = time.monotonic() + timeout_sec

        def watch() -> None:
            if time.monotonic() > deadline_sec or not client.service_is_ready():
                future.cancel()

        steady = Clock(clock_type=ClockType.STEADY_TIME)
        timer = self._node.create_timer(POLL_SEC, watch, clock=steady, callback_group=self._group)
        try:
            answer = await future
        finally:
            self._node.destroy_timer(timer)
        if answer is None:
            raise ParameterError(
                f'{client.srv_name} did not answer: the policy node is gone, or takes longer than '
                f'swap_timeout_sec={timeout_sec:g}'
            )
        return answer
