"""The gripper node: gripper openings of a policy as goals of a gripper action server."""

from __future__ import annotations

from importlib import import_module
from typing import Any, Final

from rclpy.action import ActionClient
from rclpy.node import Node
from rclpy.task import Future

from sara_ros.core import ParameterError
from sara_ros.nodes import qos
from sara_ros.nodes.parameters import ParameterSpec, declare, value
from sara_ros.nodes.process import run_node
from sara_ros.nodes.ros_time import NS, to_ns
from sara_ros.nodes.start import end
from sara_ros_msgs.msg import EndEffectorAction

PARAMETERS: Final = (
    ParameterSpec('action_topic', 'policy/action', 'Where the openings come from.',
                  read_only=True),
    ParameterSpec('gripper_action', 'gripper_controller/gripper_cmd', 'Action of the gripper.',
                  read_only=True),
    ParameterSpec('action_type', 'GripperCommand', 'Its type in control_msgs: GripperCommand '
                  '(GripperActionController) or ParallelGripperCommand '
                  '(parallel_gripper_action_controller).', read_only=True),
    ParameterSpec('joint', 'finger_joint', 'Joint named in the goals of a '
                  'ParallelGripperCommand.', read_only=True),
    ParameterSpec('closed', 0.0, 'Position when closed (m or rad).', low=-10.0, high=10.0),
    ParameterSpec('open', 0.04, 'Position when open (m or rad).', low=-10.0, high=10.0),
    ParameterSpec('max_effort', 20.0, 'Largest force or torque (N or Nm).', low=0.0,
                  high=1000.0),
    ParameterSpec('deadband', 0.1, 'Smallest change of the opening, 0 to 1, that makes a new '
                  'goal.', low=0.0, high=1.0),
    ParameterSpec('command_expiry_sec', 0.1, 'Actions older than this are not obeyed.',
                  low=0.01, high=5.0),
)  # fmt: skip
TYPES: Final = ('GripperCommand', 'ParallelGripperCommand')


def gripper_type(name: str) -> Any:
    """
    Return an action type of ``control_msgs``.

    :raises ParameterError: for another name, and where the package is not installed.
    """
    if name not in TYPES:
        raise ParameterError(f"action_type is '{name}'; choose one of {', '.join(TYPES)}")
    try:
        return getattr(import_module('control_msgs.action'), name)
    except (ImportError, AttributeError) as err:
        raise ParameterError(
            f'control_msgs/action/{name} is not installed: {err}; install '
            'ros-$ROS_DISTRO-control-msgs, or pip install ros-control-msgs'
        ) from err


class GripperNode(Node):
    """
    Opens and closes a gripper as a policy wants.

    An opening that differs by more than ``deadband`` from the last goal becomes a goal; the one
    before is preempted by the server. A goal in progress is not canceled when commands stop: a
    gripper that lets go is not safer than one that holds.
    """

    def __init__(self, **kwargs: Any) -> None:
        """
        Make the action client.

        :raises ParameterError: when a parameter cannot be used, or ``control_msgs`` is missing.
        """
        super().__init__('gripper', **kwargs)
        declare(self, PARAMETERS)
        self._type = gripper_type(value(self, 'action_type'))
        self._client = ActionClient(self, self._type, value(self, 'gripper_action'))
        self._goal_opening: float | None = None
        self._sending: Future | None = None
        self._input = self.create_subscription(
            EndEffectorAction, value(self, 'action_topic'), self._on_action, qos.COMMAND
        )

    def _on_action(self, message: EndEffectorAction) -> None:
        age_ns = self.get_clock().now().nanoseconds - to_ns(message.header.stamp)
        opening = message.gripper_opening
        if abs(age_ns) > value(self, 'command_expiry_sec') * NS or not 0 <= opening <= 1:
            self._warn(
                f'opening {opening:g} of command {message.sequence}, {age_ns / NS:.3f} s old, '
                'was not obeyed (command_expiry_sec, 0 to 1)'
            )
            return
        if self._goal_opening is not None and (
            abs(opening - self._goal_opening) <= value(self, 'deadband')
        ):
            return
        self._send(opening)

    def _send(self, opening: float) -> None:
        if not self._client.server_is_ready():
            self._warn(f"no action server '{value(self, 'gripper_action')}'; the gripper is still")
            return
        if self._sending is not None and not self._sending.done():
            return  # the next action asks again
        self._goal_opening = opening
        self._sending = self._client.send_goal_async(self._goal(opening))
        self._sending.add_done_callback(self._answered)

    def _goal(self, opening: float) -> Any:
        closed, opened = value(self, 'closed'), value(self, 'open')
        position, effort = float(closed + opening * (opened - closed)), value(self, 'max_effort')
        goal = self._type.Goal()
        if value(self, 'action_type') == 'GripperCommand':
            goal.command.position, goal.command.max_effort = position, effort
        else:
            goal.command.name = [value(self, 'joint')]
            goal.command.position, goal.command.effort = [position], [effort]
        return goal

    def _answered(self, sending: Future) -> None:
        if not sending.result().accepted:
            self._goal_opening = None
            self._warn('the gripper refused a goal')

    def _warn(self, text: str) -> None:
        self.get_logger().warning(text, throttle_duration_sec=2.0)


def main(args: list[str] | None = None) -> int:
    """Run the node in its own process."""
    return run_node(GripperNode, args)


if __name__ == '__main__':
    end(main())
