"""Joint commands of a policy reach a joint_trajectory_controller as it takes them."""

from nodes.host import Host, until
import numpy as np
import pytest
from sensor_msgs.msg import JointState
from trajectory_msgs.msg import JointTrajectory

from sara_ros.nodes.joint_driver import JointDriverNode
from sara_ros.nodes.ros_time import NS, to_ns, to_time
from sara_ros.nodes.state_codec import encode_joint_state
from sara_ros.nodes.trajectory_codec import encode_positions
from sara_ros_msgs.msg import ActionChunk

NAMES = ('a', 'b')
PERIOD_SEC = 0.04


class Robot:
    """What surrounds the driver: a policy, joint states and the controller."""

    def __init__(self, station, driver):
        self._station = station
        self._driver = driver
        self._states = station.publisher(JointState, 'joint_states')
        self._commands = station.publisher(JointTrajectory, 'policy/joint_trajectory')
        self._chunks = station.publisher(ActionChunk, 'policy/action_chunk')
        self.sent = station.collect(
            JointTrajectory, 'joint_trajectory_controller/joint_trajectory'
        )

    def at(self, *joints):
        """Tell where the joints are until the driver knows; what is best effort may be lost."""
        message = encode_joint_state(NAMES, joints, stamp_ns=self._now_ns())

        def known():
            self._states.publish(message)
            state = self._driver.node._state
            return state is not None and list(state[0].position) == list(joints)

        until(known, 'the joints')

    def chunk(self, *rows):
        values = np.float32(rows)
        self._chunks.publish(ActionChunk(horizon=len(rows), values=values.ravel().tolist()))

    def message(self, *joints, age_sec=0.0):
        message = encode_positions(NAMES, np.array([joints]), period_sec=PERIOD_SEC)
        message.header.stamp = to_time(self._now_ns() - int(age_sec * NS))
        return message

    def command(self, *joints, age_sec=0.0):
        self._commands.publish(self.message(*joints, age_sec=age_sec))

    def next(self):
        until(lambda: self.sent, 'a trajectory')
        return self.sent.pop(0)

    def _now_ns(self):
        return self._station.node.get_clock().now().nanoseconds


@pytest.fixture
def driver(context, space):
    """Run the driver with limits that no busy machine trips over."""
    patient = {'command_expiry_sec': 5.0, 'state_timeout_sec': 5.0}
    with Host(context, JointDriverNode, namespace=space, **patient) as host:
        yield host


@pytest.fixture
def robot(driver, station):
    return Robot(station, driver)


def positions(message):
    return np.array([list(point.positions) for point in message.points])


def test_a_command_becomes_positions_that_start_now(robot):
    robot.at(0.0, 1.0)
    robot.command(0.04, 0.96)
    message = robot.next()
    assert to_ns(message.header.stamp) == 0
    assert message.joint_names == ['a', 'b']
    assert not any(len(p.velocities) or len(p.accelerations) for p in message.points)
    times = [to_ns(point.time_from_start) for point in message.points]
    assert times == [NS // 100 * (index + 1) for index in range(8)]
    np.testing.assert_allclose(positions(message)[3], [0.04, 0.96], atol=1e-6)
    assert (np.diff(positions(message)[:, 0]) > 0).all()


def test_chunks_tell_what_follows(robot, driver):
    robot.at(0.0, 0.0)
    robot.chunk((0.02, 0.0), (0.06, 0.0), (0.09, 0.0))
    until(lambda: driver.node._chunk, 'the chunk')
    robot.command(0.02, 0.0)
    first = robot.next()
    np.testing.assert_allclose(positions(first)[[3, 7], 0], [0.02, 0.06], atol=1e-6)
    robot.command(0.06, 0.0)
    second = robot.next()
    np.testing.assert_allclose(positions(second)[[3, 7], 0], [0.06, 0.09], atol=1e-6)
    # The second goes on where the first is by then, in place and in speed.
    steps = np.diff([positions(first)[2, 0], positions(first)[3, 0], positions(second)[0, 0]])
    assert steps[1] == pytest.approx(steps[0], abs=0.004)


def test_a_robot_elsewhere_is_not_made_to_jump(robot):
    robot.at(1.0, 0.0)
    robot.command(0.0, 0.0)
    robot.command(0.9, 0.0, age_sec=60.0)
    robot.command(0.9, 0.0)
    np.testing.assert_allclose(positions(robot.next())[3], [0.9, 0.0], atol=1e-6)
    assert not robot.sent


def test_nothing_is_sent_without_joint_states(robot, driver):
    early = robot.message(0.0, 0.0)
    driver.on_executor(lambda: driver.node._on_command(early))
    robot.at(0.0, 0.0)
    robot.command(0.01, 0.0)
    np.testing.assert_allclose(positions(robot.next())[3], [0.01, 0.0], atol=1e-6)
    assert not robot.sent
