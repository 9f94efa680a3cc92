"""Gripper openings become goals of the action that grippers have."""

from nodes.host import Host, until
import pytest

from sara_ros.core import ParameterError
from sara_ros.nodes.gripper import GripperNode, gripper_type
from sara_ros.nodes.ros_time import to_time
from sara_ros_msgs.msg import EndEffectorAction


def test_other_types_are_refused():
    with pytest.raises(ParameterError, match='choose one of GripperCommand, Parallel'):
        gripper_type('Fist')


def test_a_missing_package_is_named(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, 'control_msgs.action', None)
    with pytest.raises(ParameterError, match='install ros-'):
        gripper_type('GripperCommand')


@pytest.mark.parametrize('kind', ['GripperCommand', 'ParallelGripperCommand'])
def test_openings_become_goals(context, station, space, kind):
    actions = pytest.importorskip('control_msgs.action', reason='needs control_msgs')
    from rclpy.action import ActionServer

    goals = []

    def execute(handle):
        command = handle.request.command
        goals.append((command.position, getattr(command, 'max_effort', None) or command.effort))
        handle.succeed()
        return getattr(actions, kind).Result()

    server = ActionServer(
        station.node, getattr(actions, kind),
        station.in_namespace('gripper_controller/gripper_cmd'), execute,
    )  # fmt: skip
    with Host(context, GripperNode, namespace=space, action_type=kind) as host:
        until(host.node._client.server_is_ready, 'the server')
        openings = station.publisher(EndEffectorAction, 'policy/action')
        for count, opening in ((1, 1.0), (1, 0.95), (2, 0.25), (2, 7.0)):
            message = EndEffectorAction(gripper_opening=opening)
            message.header.stamp = to_time(station.node.get_clock().now().nanoseconds)
            openings.publish(message)
            until(lambda count=count: len(goals) == count, 'the goal')
    server.destroy()
    wanted = [(0.04, 20.0), (0.01, 20.0)]
    if kind == 'ParallelGripperCommand':
        goals = [tuple(each[0] for each in goal) for goal in goals]
    assert goals == [pytest.approx(each) for each in wanted]
