"""The policy node: sensor topics in, end-effector actions out, at a fixed rate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
import time
from typing import Any, Final

from geometry_msgs.msg import TwistStamped
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleState, TransitionCallbackReturn
from std_msgs.msg import String
from std_srvs.srv import Trigger
from trajectory_msgs.msg import JointTrajectory

from sara_ros.core import ActionChunk, ParameterError, Policy, SaraError
from sara_ros.core.drops import DropCounter
from sara_ros.core.guard import SafetyGuard
from sara_ros.core.instructions import doubt_about
from sara_ros.core.limits import SafetyLimits, WorkspaceBox
from sara_ros.core.observation_buffer import ObservationBuffer
from sara_ros.core.resources import package_folder
from sara_ros.core.run import RunLimits, RunResult, StopAction, TerminationReason
from sara_ros.core.serving import Command, ServingLoop
from sara_ros.decoding.observations import default_topic
from sara_ros.decoding.transforms import StaticTransforms
from sara_ros.nodes import command_codec as codec
from sara_ros.nodes import qos
from sara_ros.nodes.frame_watch import FrameWatch
from sara_ros.nodes.intake import SensorIntake
from sara_ros.nodes.managed import ManagedNode
from sara_ros.nodes.parameters import ParameterSpec, declare, value
from sara_ros.nodes.pose_watch import PoseWatch
from sara_ros.nodes.process import bring_up, run_node
from sara_ros.nodes.process_usage import process_usage
from sara_ros.nodes.ros_time import to_time
from sara_ros.nodes.run_server import RunServer
from sara_ros.nodes.start import end
from sara_ros.nodes.swap_server import PARAMETERS as SWAP_PARAMETERS
from sara_ros.nodes.swap_server import SwapServer
from sara_ros.policies.candidate import ModelsFolder
from sara_ros.policies.loading import load_policy, warm_up
from sara_ros.policies.threads import limit_threads
from sara_ros_msgs import msg

PARAMETERS: Final = (
    ParameterSpec('model', 'rt2-tabletop', 'Model to serve: a folder of models_dir, or '
                  'scripted_expert.'),
    ParameterSpec('models_dir', '', 'Folder of the models; empty: those of this package.'),
    ParameterSpec('attention_backend', '', 'Attention backend; empty: as in policy.json.'),
    ParameterSpec('device', 'cpu', 'Torch device, e.g. cpu, cuda:0.'),
    ParameterSpec('torch_threads', 1, 'CPU threads of the model; 0: as many as torch likes.',
                  low=0, high=256),
    ParameterSpec('observation_timeout_sec', 1.0, 'A run ends without observations for so long.',
                  low=0.05, high=60.0),
    ParameterSpec('chunk_timeout_sec', 1.0, 'A run ends without action chunks for so long.',
                  low=0.05, high=60.0),
    ParameterSpec('startup_timeout_sec', 5.0, 'The same, before the first command of a run.',
                  low=0.0, high=60.0),
    ParameterSpec('stop_action', 'zero_then_silence', 'What goes out when a run ends: '
                  'zero_then_silence (one zero twist), or hold (until the next run).'),
    ParameterSpec('dry_run', False, 'Publish commands below ~/dry_run only, so nothing moves; '
                  'taken over when the node is configured.'),
    ParameterSpec('known_instructions_only', False, 'Refuse instructions that the model was not '
                  'trained on; otherwise they are obeyed with a warning.'),
    ParameterSpec('action_limits', [''], "Bounds tighter than the model's: 'dimension low high' "
                  "or 'dimension low high max_change' each, in its unit."),
    ParameterSpec('max_step_change', 0.5, 'Largest change of a motion from one command to the '
                  'next, as a share of its range; 1: no limit.', low=0.01, high=1.0),
    ParameterSpec('workspace', '', "Box of the end effector in the actions' frame, lowest and "
                  "highest corner: 'x y z x y z' (m); empty: none."),
    ParameterSpec('ee_pose_topic', 'ee_pose', 'Where the robot reports the pose that the '
                  'workspace is judged by (PoseStamped).'),
    ParameterSpec('ee_pose_timeout_sec', 0.2, 'With a workspace, the arm holds without a pose '
                  'for so long.', low=0.02, high=5.0),
    ParameterSpec('arm_lag_sec', 0.1, 'Time the arm takes to carry out a command, for the '
                  'workspace.', low=0.0, high=2.0),
    ParameterSpec('sync_timeout_sec', 0.02, 'Longest wait for sensors of the same instant.',
                  low=0.0, high=1.0),
    ParameterSpec('sync_slop_sec', 0.005, 'Stamps closer than this are the same instant.',
                  low=0.0, high=0.1),
    ParameterSpec('command_max_slew', 0.02, 'Largest change of a command period, as a share, to '
                  'follow the phase of the sensors; 0: fixed phase.', low=0.0, high=0.1),
    ParameterSpec('static_transforms', [''], 'Fixed transforms where the clouds are not in the '
                  "policy's frame: 'target source x y z qx qy qz qw' each (m, unit quaternion)."),
    *SWAP_PARAMETERS,
    ParameterSpec('autostart', True, 'Configure and activate without a lifecycle manager.',
                  read_only=True),
)  # fmt: skip


class PolicyNode(ManagedNode):
    """
    Serves one policy.

    Configuring loads and warms up the model named by the parameters; activating subscribes to
    what its spec asks for. A goal of ``~/run_policy``, or an instruction on ``~/instruction``,
    starts a run; ``~/stop`` ends it. Without a run nothing is published but the status, and
    holds where ``stop_action`` says so.
    """

    def __init__(self, **kwargs: Any) -> None:
        """
        Declare the parameters.

        :raises ParameterError: when one of them has a value that cannot be used.
        """
        super().__init__('policy', **kwargs)
        declare(self, PARAMETERS)
        self._policy: Policy | None = None
        self._loop: ServingLoop | None = None
        self._intake: SensorIntake | None = None
        self._pose_watch: PoseWatch | None = None
        self._frames: FrameWatch | None = None
        self._dry_run = False
        self._last_reason = ''
        self._publishers_of_policy: list[Any] = []
        self._drops = DropCounter()
        self._last_error = ''
        self._last_action: Any = []
        self._chunk_sequence = 0
        self._status = self.create_publisher(msg.PolicyStatus, '~/status', qos.LATCHED)
        self._runs = RunServer(self, begin=self._begin_run, end=self._end_run)
        self._swaps = SwapServer(self, lambda: self._loop)
        self._instruction = self.create_subscription(
            String, '~/instruction', self._on_instruction, qos.COMMAND
        )
        self._stop = self.create_service(Trigger, '~/stop', self._on_stop)
        # Not on ROS time: without a /clock the status is what tells people that it is missing.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._status_timer = self.create_timer(0.2, self._publish_status, clock=steady)

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load and warm up the model; on failure the node stays unconfigured and says why."""
        if not self.attempt('configure', self._configure):
            self._release()
            return TransitionCallbackReturn.FAILURE
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Subscribe to the sensors and start the serving threads."""
        if not self.attempt('activate', self._activate):
            return TransitionCallbackReturn.FAILURE
        dry = ' as a dry run: commands go to ~/dry_run, nothing moves' if self._dry_run else ''
        self.get_logger().info(f"serving '{self._spec.model_id}'{dry}")
        return super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """End the run in progress, and stop the threads and subscriptions."""
        self._deactivate(TerminationReason.DEACTIVATED, 'the node was deactivated')
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Release the model."""
        self._release()
        return super().on_cleanup(state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """End the run in progress and release the model."""
        self.close()
        self._release()
        return super().on_shutdown(state)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Return to unconfigured after a transition that failed half way."""
        self.close()
        self._release()
        return super().on_error(state)

    def close(self) -> None:
        """Hold still before the process ends."""
        self._deactivate(TerminationReason.SHUTDOWN, 'the node is shutting down')

    def halt(self) -> None:
        """End the run in progress at once, from any thread; the node stays active."""
        self._end_run(TerminationReason.SHUTDOWN, 'the node is shutting down')

    def report_error(self, text: str) -> None:
        """Log an error and keep it for the status."""
        self._last_error = text
        super().report_error(text)

    @property
    def _spec(self) -> Any:
        if self._policy is None:
            raise ParameterError('no model is loaded; configure the node first')
        return self._policy.spec

    def _configure(self) -> None:
        self._last_error = ''
        started = time.monotonic()
        limit_threads(value(self, 'torch_threads'))
        models_dir, device = self._models_dir(), value(self, 'device')
        policy = load_policy(
            models_dir,
            value(self, 'model'),
            attention_backend=value(self, 'attention_backend'),
            device=device,
        )
        warm_up(policy)
        policy = self._swaps.serve(policy, ModelsFolder(models_dir), device)
        self._policy = policy
        declare(self, [
            ParameterSpec(f'topics.{need.name}', default_topic(need, policy.spec),
                          f"Topic of the policy's observation '{need.name}'.")
            for need in policy.spec.observations
        ])  # fmt: skip
        self._create_publishers()
        elapsed = time.monotonic() - started
        self.get_logger().info(f"'{policy.spec.model_id}' loaded and warm in {elapsed:.1f} s")

    def _models_dir(self) -> Path:
        return Path(value(self, 'models_dir') or package_folder('models'))

    def _create_publishers(self) -> None:
        create = self.create_lifecycle_publisher
        self._dry_run = value(self, 'dry_run')
        base = '~/dry_run' if self._dry_run else '~'
        self._chunk = create(msg.ActionChunk, '~/action_chunk', qos.COMMAND)
        self._timing = create(msg.InferenceTiming, '~/timing', qos.COMMAND)
        self._publishers_of_policy += [self._chunk, self._timing]
        if self._spec.action.kind == 'end_effector_delta':
            action = create(msg.EndEffectorAction, f'{base}/action', qos.COMMAND)
            self._outputs: list[tuple[Any, Callable[..., Any]]] = [
                (action, codec.encode_action),
                (create(TwistStamped, f'{base}/twist_cmd', qos.COMMAND), codec.encode_twist),
            ]
        else:
            trajectory = create(JointTrajectory, f'{base}/joint_trajectory', qos.COMMAND)
            self._outputs = [(trajectory, codec.encode_trajectory)]
        self._publishers_of_policy += [publisher for publisher, _ in self._outputs]

    def _release(self) -> None:
        """Forget the model and what was made for it."""
        self._swaps.close('the model was released')
        for publisher in self._publishers_of_policy:
            self.destroy_lifecycle_publisher(publisher)
        self._publishers_of_policy.clear()
        # The next model may want another topic under the same name.
        for name in self.get_parameters_by_prefix('topics'):
            self.undeclare_parameter(f'topics.{name}')
        self._policy = None

    def _activate(self) -> None:
        policy = self._policy
        if policy is None:
            raise ParameterError('no model is loaded; configure the node first')
        fixed = StaticTransforms(value(self, 'static_transforms'))
        self._drops = DropCounter()
        self._last_error = ''
        self._chunk_sequence = 0
        buffer = ObservationBuffer(
            policy.spec,
            drops=self._drops,
            monotonic_ns=time.monotonic_ns,
            slop_sec=value(self, 'sync_slop_sec'),
            sync_timeout_sec=value(self, 'sync_timeout_sec'),
        )
        guard = self._guard(policy)
        loop = ServingLoop(
            policy, buffer, self, self._drops,
            guard=guard,
            stop_action=StopAction.parse(value(self, 'stop_action')),
            max_slew=value(self, 'command_max_slew'),
        )  # fmt: skip
        topics = {
            need.name: value(self, f'topics.{need.name}') for need in policy.spec.observations
        }
        moved = any(need.kind == 'points' for need in policy.spec.observations)
        self._frames = FrameWatch(self, fixed, listen=moved)
        self._intake = SensorIntake(
            self, policy.spec, buffer, self._drops,
            topics=topics, transforms=self._frames, wanted=lambda: loop.run is not None,
        )  # fmt: skip
        try:
            self._watch_pose(guard)
        except ParameterError:
            self._intake.close()
            self._frames.close()
            self._intake = self._frames = None
            raise
        self._loop = loop
        self._last_action = []
        self._last_reason = ''
        self._swaps.resume(loop)
        loop.start()

    def _guard(self, policy: Policy) -> SafetyGuard:
        workspace = WorkspaceBox.parse(
            value(self, 'workspace'),
            pose_timeout_sec=value(self, 'ee_pose_timeout_sec'),
            lag_sec=value(self, 'arm_lag_sec'),
        )
        limits = SafetyLimits.of(
            policy.spec.action,
            entries=value(self, 'action_limits'),
            max_change=value(self, 'max_step_change'),
            workspace=workspace,
        )
        return SafetyGuard(policy.spec.action, limits)

    def _watch_pose(self, guard: SafetyGuard) -> None:
        if guard.pose_ns is not None:
            self._pose_watch = PoseWatch(
                self, value(self, 'ee_pose_topic'),
                frame=self._spec.action.frame, guard=guard, drops=self._drops,
            )  # fmt: skip

    def _deactivate(self, reason: TerminationReason, message: str) -> None:
        if self._loop is not None:
            self._loop.stop(reason, message)
        if self._intake is not None:
            self._intake.close()
        if self._pose_watch is not None:
            self._pose_watch.close()
        if self._frames is not None:
            self._frames.close()
        self._publish_status()
        self._loop = self._intake = self._pose_watch = self._frames = None

    def command(self, command: Command) -> None:
        """Publish one command and its timing; called from the command timer."""
        now_ns = self._now_ns()
        for publisher, encode in self._outputs:
            publisher.publish(encode(command, self._spec, now_ns))
        self._last_action = command.values
        timing = command.timing and command.timing.mark('publish', time.monotonic_ns())
        self._timing.publish(codec.encode_timing(command, timing, self._spec, now_ns))

    def chunk(self, chunk: ActionChunk) -> None:
        """Publish a chunk; called from the policy's worker thread."""
        message = codec.encode_chunk(chunk, self._spec, self._chunk_sequence, self._now_ns())
        self._chunk_sequence += 1
        self._chunk.publish(message)

    def finished(self, result: RunResult) -> None:
        """Log the end of a run; called from any serving thread."""
        self._last_reason = result.reason.value
        text = f'run ended: {result.reason.value}: {result.message} ({result.commands} commands)'
        if result.reason is TerminationReason.MODEL_ERROR:
            self.report_error(text)
        else:
            self.get_logger().info(text)

    def _begin_run(
        self, instruction: str, limits: RunLimits, done: Callable[[RunResult], None]
    ) -> None:
        if self._loop is None:
            raise ParameterError('the policy node is not active; activate it first')
        if doubt := doubt_about(instruction, self._spec.instructions):
            if value(self, 'known_instructions_only'):
                raise ParameterError(f'{doubt}, and known_instructions_only is set')
            self.get_logger().warning(doubt)
        limits = replace(
            limits,
            observation_timeout_sec=value(self, 'observation_timeout_sec'),
            chunk_timeout_sec=value(self, 'chunk_timeout_sec'),
            startup_timeout_sec=value(self, 'startup_timeout_sec'),
        )
        self._loop.begin_run(instruction, limits, done)
        self.get_logger().info(f"run: '{instruction}'")
        self._publish_status()

    def _end_run(self, reason: TerminationReason, message: str) -> None:
        if self._loop is not None:
            self._loop.end_run(reason, message)

    def _on_instruction(self, message: String) -> None:
        run = self._loop.run if self._loop is not None else None
        if run is not None and run.instruction == message.data:
            return  # publishers repeat instructions; the run goes on
        try:
            self._begin_run(message.data, RunLimits(), lambda _: None)
        except SaraError as err:
            self.report_error(f'instruction refused: {err}')

    def _on_stop(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.success = True
        response.message = 'stopped' if self._loop and self._loop.run else 'nothing was running'
        self._end_run(TerminationReason.CANCELED, 'stopped by ~/stop')
        return response

    def _now_ns(self) -> int:
        return int(self.get_clock().now().nanoseconds)

    def _publish_status(self) -> None:
        loop, run = self._loop, self._loop.run if self._loop else None
        message = msg.PolicyStatus(
            state=self.state_label,
            last_error=self._last_error,
            last_termination_reason=self._last_reason,
            dry_run=self._dry_run,
            **process_usage(),
            **codec.counts_by_reason(self._drops.counts()),
        )
        message.header.stamp = to_time(self._now_ns())
        if self._policy is not None:
            message.model_id = self._spec.model_id
            message.kind, message.learned = self._spec.kind, self._spec.learned
            message.attention_backend = str(self._spec.attention.get('backend', ''))
            message.rate_hz = float(self._spec.action.rate_hz)
        if run is not None:
            message.instruction = run.instruction
            elapsed_sec = run.elapsed_sec(time.monotonic_ns())
            self._runs.feedback(run.commands, elapsed_sec, self._last_action)
        if loop is not None and self._intake is not None:
            message.driving_topic = self._intake.driving_topic
            message.observations_received = self._intake.received
            message.newest_observation_stamp = to_time(self._intake.newest_stamp_ns)
            message.observations_idle = self._intake.idle
            message.chunks = loop.chunks
            message.commands_published = loop.sequence
            message.holds = loop.holds
            message.clipped_values = loop.guard.clipped_values
            clips = loop.guard.counts()
            message.clip_reasons, message.clip_counts = list(clips), list(clips.values())
            message.deadline_misses = loop.deadline_misses
        self._status.publish(message)


def main(args: list[str] | None = None) -> int:
    """Run the node in its own process."""

    def create() -> PolicyNode:
        node = PolicyNode()
        if value(node, 'autostart'):
            bring_up(node)
        return node

    return run_node(create, args)


if __name__ == '__main__':
    end(main())
