"""The RunPolicy action: one goal at a time, ended by the serving loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.action.server import ServerGoalHandle
from rclpy.node import Node
from rclpy.task import Future

from sara_ros.core import SaraError
from sara_ros.core.run import RunLimits, RunResult, TerminationReason
from sara_ros_msgs.action import RunPolicy

Done = Callable[[RunResult], None]
Begin = Callable[[str, RunLimits, Done], None]
End = Callable[[TerminationReason, str], None]

_ENDED_AS_ASKED: Final = (
    TerminationReason.TERMINATE,
    TerminationReason.MAX_STEPS,
    TerminationReason.TIMEOUT,
)


class RunServer:
    """
    Turns goals into runs and the ends of runs into results.

    :param begin: starts a run; raises :class:`SaraError` when it cannot, which aborts the goal
        with the message and leaves a run in progress alone.
    :param end: ends the run in progress.
    """

    def __init__(self, node: Node, *, begin: Begin, end: End) -> None:
        """Offer the action under ``~/run_policy``."""
        self._node = node
        self._begin = begin
        self._end = end
        self._current: ServerGoalHandle | None = None
        self._server = ActionServer(
            node,
            RunPolicy,
            '~/run_policy',
            execute_callback=self._execute,
            goal_callback=lambda _: GoalResponse.ACCEPT,
            cancel_callback=self._cancel,
        )

    def close(self) -> None:
        """Withdraw the action."""
        self._server.destroy()

    def feedback(self, commands: int, elapsed_sec: float, last_action: Any) -> None:
        """Tell the client how far the run is."""
        goal = self._current
        if goal is not None and goal.is_active:
            message = RunPolicy.Feedback(commands=commands, elapsed_sec=elapsed_sec)
            message.last_action = last_action
            goal.publish_feedback(message)

    def _cancel(self, goal: ServerGoalHandle) -> CancelResponse:
        if self._current is None or goal.goal_id != self._current.goal_id:
            return CancelResponse.REJECT
        self._end(TerminationReason.CANCELED, 'the client canceled the goal')
        return CancelResponse.ACCEPT

    async def _execute(self, goal: ServerGoalHandle) -> RunPolicy.Result:
        ended: Future = Future(executor=self._node.executor)

        def done(result: RunResult) -> None:
            ended.set_result(result)
            self._node.executor.wake()

        wanted = goal.request
        try:
            limits = RunLimits(timeout_sec=wanted.timeout_sec, max_steps=wanted.max_steps)
            self._begin(wanted.instruction, limits, done)
        except SaraError as err:
            goal.abort()
            self._node.get_logger().error(f'goal refused: {err}')
            return RunPolicy.Result(termination_reason=RunPolicy.Result.REFUSED, message=str(err))
        self._current = goal
        return self._conclude(goal, await ended)

    def _conclude(self, goal: ServerGoalHandle, result: RunResult) -> RunPolicy.Result:
        if result.reason is TerminationReason.CANCELED and goal.is_cancel_requested:
            goal.canceled()
        elif result.reason in _ENDED_AS_ASKED:
            goal.succeed()
        else:
            goal.abort()
        return RunPolicy.Result(
            termination_reason=result.reason.value,
            message=result.message,
            commands=result.commands,
            duration_sec=result.duration_sec,
        )
