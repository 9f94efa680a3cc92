"""The twist repeater node: a policy's twists at the rate that MoveIt Servo works at."""

from __future__ import annotations

from typing import Any, Final

from geometry_msgs.msg import Twist, TwistStamped
from rclpy.node import Node

from sara_ros.nodes import qos
from sara_ros.nodes.parameters import ParameterSpec, declare, value
from sara_ros.nodes.process import run_node
from sara_ros.nodes.ros_time import NS, to_ns, to_time
from sara_ros.nodes.start import end

PARAMETERS: Final = (
    ParameterSpec('input_topic', 'policy/twist_cmd', "The policy's twists.", read_only=True),
    ParameterSpec('output_topic', 'servo_node/delta_twist_cmds', "Servo's input.",
                  read_only=True),
    ParameterSpec('rate_hz', 100.0, 'Rate of the repeated twists; one over publish_period of '
                  'Servo.', low=1.0, high=500.0, read_only=True),
    ParameterSpec('action_rate_hz', 20.0, "Rate of the policy's actions: each is repeated for one "
                  'period.', low=0.5, high=200.0),
    ParameterSpec('margin_sec', 0.02, 'A command may be later than its period by so much before '
                  'the arm is stopped.', low=0.0, high=1.0),
    ParameterSpec('command_expiry_sec', 0.1, 'Twists older than this on arrival are not repeated.',
                  low=0.01, high=5.0),
    ParameterSpec('stops', 4, 'Zero twists after the last command, then silence.', low=1,
                  high=100),
)  # fmt: skip


class TwistRepeaterNode(Node):
    """
    Repeats each twist, stamped anew, until the next one is due; then stops the arm.

    A twist stands for the displacement of one action period. Repeated for exactly that long, at a
    rate above one over Servo's ``incoming_command_timeout``, a slow policy moves the arm as far
    as it wants to. Without a next command a few zero twists follow, and silence.
    """

    def __init__(self, **kwargs: Any) -> None:
        """
        Subscribe and start the timer.

        :raises ParameterError: when a parameter has a value that cannot be used.
        """
        super().__init__('twist_repeater', **kwargs)
        declare(self, PARAMETERS)
        self._twist: TwistStamped | None = None
        self._until_ns = 0
        self._stops_left = 0
        self._output = self.create_publisher(
            TwistStamped, value(self, 'output_topic'), qos.COMMAND
        )
        self._input = self.create_subscription(
            TwistStamped, value(self, 'input_topic'), self._on_twist, qos.COMMAND
        )
        self._timer = self.create_timer(1 / value(self, 'rate_hz'), self._repeat)

    def _on_twist(self, message: TwistStamped) -> None:
        now_ns = self._now_ns()
        age_ns = now_ns - to_ns(message.header.stamp)
        if abs(age_ns) > value(self, 'command_expiry_sec') * NS:
            self.get_logger().warning(
                f'a twist is {age_ns / NS:.3f} s old and was not repeated (command_expiry_sec)',
                throttle_duration_sec=2.0,
            )
            return
        period_sec = 1 / value(self, 'action_rate_hz') + value(self, 'margin_sec')
        self._twist, self._until_ns = message, now_ns + int(period_sec * NS)
        self._stops_left = value(self, 'stops')
        self._send(message)
        self._timer.reset()

    def _repeat(self) -> None:
        twist = self._twist
        if twist is None:
            return
        if self._now_ns() >= self._until_ns:
            twist.twist = Twist()
            self._stops_left -= 1
            if self._stops_left <= 0:
                self._twist = None
        self._send(twist)

    def _send(self, twist: TwistStamped) -> None:
        twist.header.stamp = to_time(self._now_ns())
        self._output.publish(twist)

    def _now_ns(self) -> int:
        return int(self.get_clock().now().nanoseconds)


def main(args: list[str] | None = None) -> int:
    """Run the node in its own process."""
    return run_node(TwistRepeaterNode, args)


if __name__ == '__main__':
    end(main())
