"""The model manager node: what can be served, and how long serving takes."""

from __future__ import annotations

from pathlib import Path
import time
from typing import Any, Final

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleState, TransitionCallbackReturn
from rclpy.subscription import Subscription
from rclpy.timer import Timer

from sara_ros.core import STAGES, ParameterError
from sara_ros.core.resources import package_folder
from sara_ros.core.statistics import CommandRate, Window
from sara_ros.core.timing import TOTAL
from sara_ros.nodes import qos
from sara_ros.nodes.diagnostics import policy_status, stage_statistics, timing_status
from sara_ros.nodes.managed import ManagedNode
from sara_ros.nodes.model_codec import describe_models, verify_model
from sara_ros.nodes.parameters import ParameterSpec, declare, value
from sara_ros.nodes.process import bring_up, run_node
from sara_ros.nodes.ros_time import NS, to_ns, to_time
from sara_ros_msgs.msg import InferenceTiming, PolicyStatus, TimingSummary
from sara_ros_msgs.srv import ListModels, VerifyModel

PARAMETERS: Final = (
    ParameterSpec('models_dir', '', 'Folder of the models; empty: those of this package.'),
    ParameterSpec('policy', 'policy', 'Name of the policy node to watch, relative to this one.'),
    ParameterSpec('window_commands', 1000, 'Commands that the percentiles cover.',
                  low=10, high=100_000),
    ParameterSpec('summary_period_sec', 1.0, 'Time between summaries and diagnostics.',
                  low=0.1, high=60.0),
    ParameterSpec('warn_latency_sec', 0.1, 'Sensor-to-command p95 above this is a warning.',
                  low=0.001, high=10.0),
    ParameterSpec('stale_sec', 2.0, 'Without a status for so long the policy is stale.',
                  low=0.1, high=60.0),
    ParameterSpec('autostart', True, 'Configure and activate without a lifecycle manager.',
                  read_only=True),
)  # fmt: skip


class ModelManagerNode(ManagedNode):
    """
    Lists and verifies models, and sums up the timing of a policy node.

    ``~/list_models`` and ``~/verify_model`` answer in every state; summaries on ``~/timing`` and
    ``/diagnostics`` are published while the node is active. Warm-up commands are left out.
    """

    def __init__(self, **kwargs: Any) -> None:
        """
        Declare the parameters and offer the services.

        :raises ParameterError: when a parameter has a value that cannot be used.
        """
        super().__init__('model_manager', **kwargs)
        declare(self, PARAMETERS)
        self._services_of_models = [
            self.create_service(ListModels, '~/list_models', self._on_list),
            self.create_service(VerifyModel, '~/verify_model', self._on_verify),
        ]
        self._inputs: list[Subscription] = []
        self._outputs: list[Any] = []
        self._timer: Timer | None = None

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Create publishers; fails when there is no folder of models."""
        if not self.attempt('configure', self._configure):
            return TransitionCallbackReturn.FAILURE
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Start to listen to the policy."""
        if not self.attempt('activate', self._listen):
            self._ignore()
            return TransitionCallbackReturn.FAILURE
        return super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop listening."""
        self._ignore()
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Release the publishers."""
        self._release()
        return super().on_cleanup(state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop listening and release the publishers."""
        self._ignore()
        self._release()
        return super().on_shutdown(state)

    def _configure(self) -> None:
        self._models_dir()
        self._forget()
        self._status: PolicyStatus | None = None
        self._status_ns = 0
        self._summary = self.create_lifecycle_publisher(TimingSummary, '~/timing', qos.COMMAND)
        self._diagnostics = self.create_lifecycle_publisher(
            DiagnosticArray, '/diagnostics', qos.COMMAND
        )
        self._outputs = [self._summary, self._diagnostics]

    def _listen(self) -> None:
        policy = value(self, 'policy')
        for kind, topic, callback, profile in (
            (InferenceTiming, 'timing', self._on_timing, qos.COMMAND),
            (PolicyStatus, 'status', self._on_status, qos.LATCHED),
        ):
            self._inputs.append(
                self.create_subscription(kind, f'{policy}/{topic}', callback, profile)
            )
        self._timer = self.create_timer(
            value(self, 'summary_period_sec'),
            self._publish,
            clock=Clock(clock_type=ClockType.STEADY_TIME),
        )

    def _ignore(self) -> None:
        if self._timer is not None:
            self.destroy_timer(self._timer)
        for subscription in self._inputs:
            self.destroy_subscription(subscription)
        self._timer = None
        self._inputs.clear()

    def _release(self) -> None:
        for publisher in self._outputs:
            self.destroy_lifecycle_publisher(publisher)
        self._outputs.clear()

    def _forget(self) -> None:
        size = value(self, 'window_commands')
        self._window = Window(size)
        self._rate = CommandRate(size)

    def _models_dir(self) -> Path:
        folder = Path(value(self, 'models_dir') or package_folder('models'))
        if not folder.is_dir():
            raise ParameterError(f"parameter 'models_dir': {folder} is not a folder")
        return folder

    def _on_list(self, _: Any, response: ListModels.Response) -> ListModels.Response:
        response.models = describe_models(self._models_dir())
        return response

    def _on_verify(
        self, request: VerifyModel.Request, response: VerifyModel.Response
    ) -> VerifyModel.Response:
        response.info = verify_model(self._models_dir(), request.model_id)
        response.ok = response.info.verified
        response.message = response.info.error or 'hash, architecture and one inference are good'
        return response

    def _on_timing(self, message: InferenceTiming) -> None:
        if message.warm_up:
            self._rate.pause()
            return
        for series in (*STAGES, TOTAL):
            self._window.add(series, to_ns(getattr(message, series)) * 1e-6)
        self._rate.add(int(message.sequence), to_ns(message.header.stamp) / NS)

    def _on_status(self, message: PolicyStatus) -> None:
        if self._status is not None and message.model_id != self._status.model_id:
            self._forget()
        self._status = message
        self._status_ns = time.monotonic_ns()

    def _publish(self) -> None:
        stamp = to_time(int(self.get_clock().now().nanoseconds))
        summary = self._summarise(self._status or PolicyStatus())
        summary.header.stamp = stamp
        self._summary.publish(summary)
        age_sec = (time.monotonic_ns() - self._status_ns) / NS if self._status else None
        name = self.get_fully_qualified_name()
        message = DiagnosticArray(status=[
            policy_status(name, self._status, age_sec, stale_sec=value(self, 'stale_sec')),
            timing_status(name, summary, warn_ms=value(self, 'warn_latency_sec') * 1e3),
        ])  # fmt: skip
        message.header.stamp = stamp
        self._diagnostics.publish(message)

    def _summarise(self, status: PolicyStatus) -> TimingSummary:
        return TimingSummary(
            model_id=status.model_id,
            window_sec=self._rate.span_sec,
            command_rate_hz=self._rate.rate_hz,
            stages=stage_statistics(self._window.percentiles()),
            drop_reasons=status.drop_reasons,
            drop_counts=status.drop_counts,
            observations_received=status.observations_received,
            commands_published=status.commands_published,
            deadline_misses=status.deadline_misses,
            holds=status.holds,
        )


def main(args: list[str] | None = None) -> int:
    """Run the node in its own process."""

    def create() -> ModelManagerNode:
        node = ModelManagerNode()
        if value(node, 'autostart'):
            bring_up(node)
        return node

    return run_node(create, args)


if __name__ == '__main__':
    raise SystemExit(main())
