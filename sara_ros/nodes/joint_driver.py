"""The joint driver node: a policy's joint commands in, smooth trajectories out."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from rclpy.node import Node
from sensor_msgs.msg import JointState
from trajectory_msgs.msg import JointTrajectory

from sara_ros.core import ActionError, ObservationError, SaraError
from sara_ros.core.action import FloatArray
from sara_ros.core.joint_stream import POINTS, JointStream
from sara_ros.decoding.states import decode_joint_positions
from sara_ros.nodes import qos
from sara_ros.nodes.parameters import ParameterSpec, declare, value
from sara_ros.nodes.process import run_node
from sara_ros.nodes.ros_time import NS, to_ns
from sara_ros.nodes.start import end
from sara_ros.nodes.trajectory_codec import decode_command, encode_positions
from sara_ros_msgs.msg import ActionChunk

PARAMETERS: Final = (
    ParameterSpec('input_topic', 'policy/joint_trajectory', "The policy's commands.",
                  read_only=True),
    ParameterSpec('chunk_topic', 'policy/action_chunk', "The policy's chunks, for what follows a "
                  'command.', read_only=True),
    ParameterSpec('joint_states_topic', 'joint_states', 'Measured joint positions.',
                  read_only=True),
    ParameterSpec('output_topic', 'joint_trajectory_controller/joint_trajectory',
                  'Topic of the controller.', read_only=True),
    ParameterSpec('points_per_command', POINTS, 'Interpolated positions of one command.', low=1,
                  high=50, read_only=True),
    ParameterSpec('lookahead_steps', 1, 'Expected commands that are sent along, so that a late '
                  'one leaves no gap; the arm goes so far when commands stop.', low=0, high=10),
    ParameterSpec('max_joint_speed', 2.5, 'Largest speed of what is sent along (rad/s, m/s).',
                  low=0.01, high=10.0, read_only=True),
    ParameterSpec('max_start_gap', 0.2, 'Commands that begin farther from the measured joints are '
                  'refused (rad, m).', low=0.001, high=3.2),
    ParameterSpec('command_expiry_sec', 0.1, 'Commands older than this are not obeyed; a pause '
                  'so long starts from the measured joints again.', low=0.01, high=5.0),
    ParameterSpec('state_timeout_sec', 0.2, 'Oldest joint state that a start may rest on.',
                  low=0.02, high=5.0),
)  # fmt: skip


class JointDriverNode(Node):
    """
    Sends joint positions of a policy to a ``joint_trajectory_controller``.

    Each command becomes one message of positions without velocities and without a stamp, dense
    enough for the straight lines that the controller draws between them. The controller must
    start from its own last position: ``interpolate_from_desired_state: true``.
    """

    def __init__(self, **kwargs: Any) -> None:
        """
        Subscribe.

        :raises ParameterError: when a parameter has a value that cannot be used.
        """
        super().__init__('joint_driver', **kwargs)
        declare(self, PARAMETERS)
        self._stream: JointStream | None = None
        self._period_sec = 0.0
        self._commanded_ns = 0
        self._chunk: ActionChunk | None = None
        self._state: tuple[JointState, int] | None = None
        self._output = self.create_publisher(
            JointTrajectory, value(self, 'output_topic'), qos.COMMAND
        )
        self._inputs = (
            self.create_subscription(
                JointState, value(self, 'joint_states_topic'), self._on_joints, qos.SENSOR
            ),
            self.create_subscription(
                ActionChunk, value(self, 'chunk_topic'), self._on_chunk, qos.COMMAND
            ),
            self.create_subscription(
                JointTrajectory, value(self, 'input_topic'), self._on_command, qos.COMMAND
            ),
        )

    def _on_joints(self, message: JointState) -> None:
        self._state = message, self._now_ns()

    def _on_chunk(self, message: ActionChunk) -> None:
        self._chunk = message

    def _on_command(self, message: JointTrajectory) -> None:
        now_ns = self._now_ns()
        age_ns = now_ns - to_ns(message.header.stamp)
        expiry_ns = value(self, 'command_expiry_sec') * NS
        try:
            if abs(age_ns) > expiry_ns:
                raise ActionError(f'it is {age_ns / NS:.3f} s old (command_expiry_sec)')
            names, target, period_sec = decode_command(message)
            stream = self._streaming(names, target, period_sec, now_ns)
            positions = stream.positions(target, self._following(target))
        except SaraError as err:
            self.get_logger().warning(f'command refused: {err}', throttle_duration_sec=2.0)
            return
        self._commanded_ns = now_ns
        self._output.publish(encode_positions(names, positions, period_sec=stream.step_sec))

    def _streaming(
        self, names: tuple[str, ...], target: FloatArray, period_sec: float, now_ns: int
    ) -> JointStream:
        """Return the stream; after a pause, or for another rate, one from the measured joints."""
        pause_ns = now_ns - self._commanded_ns
        fresh = pause_ns < (value(self, 'command_expiry_sec') + period_sec) * NS
        stream = self._stream
        if stream is not None and fresh and period_sec == self._period_sec:
            return stream
        joints = self._measured(names, now_ns)
        gap = np.abs(joints - target)
        if gap.max() > value(self, 'max_start_gap'):
            worst = int(gap.argmax())
            raise ActionError(
                f"it begins with '{names[worst]}' at {target[worst]:.3f} while the robot is at "
                f'{joints[worst]:.3f}; bring the robot there, or raise max_start_gap'
            )
        stream = JointStream(
            joints,
            period_sec,
            points=value(self, 'points_per_command'),
            max_speed=value(self, 'max_joint_speed'),
        )
        self._stream, self._period_sec = stream, period_sec
        return stream

    def _measured(self, names: tuple[str, ...], now_ns: int) -> FloatArray:
        timeout_sec = value(self, 'state_timeout_sec')
        if self._state is None or now_ns - self._state[1] > timeout_sec * NS:
            raise ActionError(
                f'no joint states of the last {timeout_sec:g} s; check joint_states_topic'
            )
        try:
            return decode_joint_positions(self._state[0], names)
        except ObservationError as err:
            raise ActionError(str(err)) from err

    def _following(self, target: FloatArray) -> FloatArray | None:
        """Return what the chunk says after ``target``; ``None`` where nobody wants it."""
        steps, chunk = value(self, 'lookahead_steps'), self._chunk
        if not steps:
            return None
        if chunk is None or len(chunk.values) != chunk.horizon * target.size:
            return np.empty((0, target.size), np.float32)
        rows = np.reshape(np.asarray(chunk.values, np.float32), (chunk.horizon, target.size))
        place = int(np.abs(rows - target).max(axis=1).argmin())
        return rows[place + 1 : place + 1 + steps]

    def _now_ns(self) -> int:
        return int(self.get_clock().now().nanoseconds)


def main(args: list[str] | None = None) -> int:
    """Run the node in its own process."""
    return run_node(JointDriverNode, args)


if __name__ == '__main__':
    end(main())
