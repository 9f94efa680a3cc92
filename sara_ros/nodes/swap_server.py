"""The policy node's side of a hot swap: services, the latched state and shadow samples."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node

from sara_ros.core import Policy, SaraError
from sara_ros.core.errors import describe
from sara_ros.core.serving import ServingLoop
from sara_ros.core.swap import SwapState, TrialRules
from sara_ros.core.swap_report import Answered, SwapReport
from sara_ros.nodes import qos
from sara_ros.nodes.deferred import Deferred
from sara_ros.nodes.parameters import ParameterSpec, value
from sara_ros.nodes.swap_codec import decode_wanted, encode_comparison, encode_report
from sara_ros.policies.candidate import ModelsFolder, ServedModel
from sara_ros.policies.hot_swap import HotSwap
from sara_ros.policies.shadowed import Comparison
from sara_ros.policies.swappable import SwappablePolicy
from sara_ros_msgs.msg import ShadowSample, SwapStatus
from sara_ros_msgs.srv import EndShadow, Rollback, SwapModel

PARAMETERS: Final = (
    ParameterSpec('swap_trial_chunks', 40, 'Chunks of a new model during which the one before '
                  'stands by; 0: no trial.', low=0, high=100_000),
    ParameterSpec('swap_budget_sec', 0.0, 'Largest p95 of the time a new model takes to answer; '
                  '0: 60 % of the time a chunk lasts, more where the model before it takes longer '
                  'as well.', low=0.0, high=60.0),
    ParameterSpec('swap_answer_timeout_sec', 10.0, 'Longest wait for one answer of a new model '
                  'before it acts.', low=0.1, high=600.0),
)  # fmt: skip
WARNED: Final = (SwapState.REFUSED, SwapState.ROLLED_BACK)


class SwapServer:
    """
    Offers ``~/swap_model``, ``~/end_shadow`` and ``~/rollback`` on ``node``.

    Every change of state goes out on ``~/swap_status`` and into the log.

    :param loop: returns the serving loop while the node is active.
    """

    def __init__(self, node: Node, loop: Callable[[], ServingLoop | None]) -> None:
        """Offer the services; they refuse until :meth:`serve` was called."""
        self._node = node
        self._loop = loop
        self._swap: HotSwap | None = None
        self._status = node.create_publisher(SwapStatus, '~/swap_status', qos.EACH_STATE)
        self._samples = node.create_publisher(ShadowSample, '~/shadow_sample', qos.COMMAND)
        # A callback that awaits would hold up all others of a group that is not reentrant.
        group = ReentrantCallbackGroup()
        self._services = [
            node.create_service(kind, f'~/{name}', callback, callback_group=group)
            for name, kind, callback in (
                ('swap_model', SwapModel, self._on_swap),
                ('end_shadow', EndShadow, self._on_end_shadow),
                ('rollback', Rollback, self._on_rollback),
            )
        ]

    def serve(self, policy: Policy, folder: ModelsFolder, device: str) -> SwappablePolicy:
        """Return the policy to serve from now on, whose model the services change."""
        identity = folder.identity_of(policy, device)
        self._swap = HotSwap(
            ServedModel.of(policy, identity),
            folder,
            self,
            rules=self._rules,
            changed=self._on_change,
            compared=self._on_comparison,
        )
        self._on_change(self._swap.report)
        return self._swap.policy

    def resume(self, loop: ServingLoop) -> None:
        """Let a loop that starts during a change know of it."""
        if self._swap is not None:
            loop.reserve(self._swap.reserve_ns)

    def close(self, reason: str) -> None:
        """Give up the change under way, and forget the models."""
        if self._swap is not None:
            self._swap.close(reason)
        self._swap = None

    def running(self) -> bool:
        """Tell whether a run is in progress."""
        loop = self._loop()
        return loop is not None and loop.run is not None

    def reserve(self, duration_ns: int) -> None:
        """Have the loop leave room for a fallback; see :meth:`ServingLoop.reserve`."""
        loop = self._loop()
        if loop is not None:
            loop.reserve(duration_ns)

    def reserved(self) -> bool:
        """Tell whether it does."""
        loop = self._loop()
        return loop is None or loop.reserved

    def _rules(self) -> TrialRules:
        return TrialRules(
            window_chunks=value(self._node, 'swap_trial_chunks'),
            budget_sec=value(self._node, 'swap_budget_sec'),
            answer_timeout_sec=value(self._node, 'swap_answer_timeout_sec'),
        )

    def _on_change(self, report: SwapReport) -> None:
        self._status.publish(encode_report(report, self._now_ns()))
        if report.message:
            logger = self._node.get_logger()
            text = f'swap {report.state.value}: {report.message}'
            logger.warning(text) if report.state in WARNED else logger.info(text)

    def _on_comparison(self, comparison: Comparison) -> None:
        swap = self._swap
        if swap is not None:
            self._samples.publish(
                encode_comparison(comparison, swap.report, swap.policy.spec, self._now_ns())
            )

    async def _on_swap(
        self, request: SwapModel.Request, response: SwapModel.Response
    ) -> SwapModel.Response:
        wanted = decode_wanted(request)
        succeeded = (SwapState.TRIAL, SwapState.ACTIVE, SwapState.SKIPPED, SwapState.SHADOW)
        return await self._answer(
            response, succeeded, lambda swap, answered: swap.request(wanted, answered)
        )

    async def _on_end_shadow(
        self, request: EndShadow.Request, response: EndShadow.Response
    ) -> EndShadow.Response:
        succeeded = (SwapState.TRIAL, SwapState.ACTIVE, SwapState.DISCARDED)
        return await self._answer(
            response,
            succeeded if request.promote else (SwapState.DISCARDED,),
            lambda swap, answered: swap.end_shadow(
                promote=request.promote,
                reason=request.reason or 'on request',
                answered=answered,
            ),
        )

    async def _on_rollback(
        self, _: Rollback.Request, response: Rollback.Response
    ) -> Rollback.Response:
        succeeded = (SwapState.ROLLED_BACK, SwapState.DISCARDED)
        return await self._answer(
            response, succeeded, lambda swap, answered: swap.roll_back(answered)
        )

    async def _answer(
        self,
        response: Any,
        succeeded: tuple[SwapState, ...],
        begin: Callable[[HotSwap, Answered], None],
    ) -> Any:
        """Fill in the answer once ``begin`` has led somewhere."""
        swap = self._swap
        if swap is None:
            response.message = 'no model is loaded; configure the policy node first'
            return response
        deferred: Deferred[SwapReport] = Deferred(self._node)
        try:
            begin(swap, deferred.set)
            report = await deferred.future
            response.success = report.state in succeeded
            response.message = report.message
        except SaraError as err:
            report = swap.report
            response.message = describe(err)
        response.state = report.state.value
        response.active_model_id = report.active.model_id
        return response

    def _now_ns(self) -> int:
        return int(self._node.get_clock().now().nanoseconds)
