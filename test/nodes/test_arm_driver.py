"""The arm driver refuses what it must not obey, and falls silent."""

from geometry_msgs.msg import PoseStamped
from nodes.host import Host, until
import numpy as np
import pytest
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray
from trajectory_msgs.msg import JointTrajectory

from sara_ros.core import ActionError, ParameterError
from sara_ros.core.resources import package_folder
from sara_ros.nodes import qos
from sara_ros.nodes.arm_driver import ArmDriverNode
from sara_ros.nodes.ros_time import to_ns, to_time
from sara_ros.nodes.state_codec import encode_joint_state
from sara_ros.sim.arm_description import HOME_JOINTS, arm_from_urdf, tabletop_arm
from sara_ros.sim.arm_follower import NS, ArmFollower
from sara_ros.sim.scene import JOINTS
from sara_ros.sim.workspace import unlimited
from sara_ros_msgs.msg import EndEffectorAction

FORWARD = np.array([0, 0.02, 0, 0, 0, 0, 0, 1.0])
URDF = package_folder('config') / 'gazebo' / 'arm.urdf.xacro'


class Arm:
    """A follower and an arm that is at once where it is told to be."""

    def __init__(self, description=None, **options):
        self.follower = ArmFollower(description or tabletop_arm(), **options)
        self.now_ns = NS
        self.joints = HOME_JOINTS
        self.follower.saw(self.joints, 1.0, self.now_ns)

    def pass_time(self, sec, seen=True):
        """Return how many targets there were."""
        count = 0
        for _ in range(round(sec * 100)):
            self.now_ns += NS // 100
            targets = self.follower.targets(self.now_ns)
            if targets is not None:
                self.joints, count = targets.positions, count + 1
            if seen:
                self.follower.saw(self.joints, 1.0, self.now_ns)
        return count


def test_it_moves_by_one_displacement_and_falls_silent():
    arm = Arm()
    start = arm.follower.tip.translation().copy()
    assert arm.pass_time(0.5) == 0
    arm.follower.obey(FORWARD, arm.now_ns)
    assert arm.pass_time(3.0) == pytest.approx(100, abs=3)
    np.testing.assert_allclose(arm.follower.tip.translation() - start, [0.02, 0, 0], atol=5e-4)
    assert not arm.follower.moving


def test_pauses_do_not_add_up_to_a_drift():
    """An arm that sags by a little is not lowered by it at every command."""
    arm = Arm()
    arm.follower.obey(FORWARD, arm.now_ns)
    arm.pass_time(2.0)
    height = arm.follower.tip.translation()[2]
    for _ in range(5):
        arm.follower.saw(arm.joints + 0.01, 1.0, arm.now_ns)
        arm.follower.obey(FORWARD * 0, arm.now_ns)
        arm.pass_time(2.0)
    assert arm.follower.tip.translation()[2] == pytest.approx(height, abs=1e-3)


def test_an_arm_that_was_moved_by_hand_is_taken_where_it_is():
    arm = Arm()
    arm.follower.obey(FORWARD, arm.now_ns)
    arm.pass_time(2.0)
    arm.joints = HOME_JOINTS + 0.2
    arm.follower.saw(arm.joints, 1.0, arm.now_ns)
    arm.follower.obey(FORWARD * 0, arm.now_ns)
    stands = arm.follower.tip.translation().copy()
    arm.pass_time(0.5)
    np.testing.assert_allclose(arm.follower.tip.translation(), stands, atol=5e-3)


def test_an_arm_beyond_its_limits_is_left_alone():
    arm = Arm()
    beyond = np.array([0, 2.5, 0, 0, 0, 0, 0])
    arm.follower.saw(HOME_JOINTS + beyond, 1.0, arm.now_ns)
    arm.follower.obey(FORWARD, arm.now_ns)
    with pytest.raises(ActionError, match='back inside'):
        arm.pass_time(0.1)
    assert not arm.follower.moving


def test_without_joints_nothing_moves():
    arm = Arm()
    arm.follower.obey(FORWARD, arm.now_ns)
    assert 15 <= arm.pass_time(2.0, seen=False) <= 25
    with pytest.raises(ActionError, match='joint_states_topic'):
        arm.follower.obey(FORWARD, arm.now_ns)


def test_an_arm_from_its_urdf_follows_as_well():
    description = arm_from_urdf(URDF.read_text(), JOINTS, 'ee_link')
    arm = Arm(description, workspace=unlimited())
    start = arm.follower.tip.translation().copy()
    for _ in range(5):
        arm.follower.obey(FORWARD, arm.now_ns)
        arm.pass_time(0.05)
    arm.pass_time(1.0)
    np.testing.assert_allclose(arm.follower.tip.translation() - start, [0.1, 0, 0], atol=2e-3)


@pytest.mark.parametrize(
    ('joints', 'tip', 'text'),
    [(['knee'], 'ee_link', "no joint 'knee'"), (JOINTS, 'toe', "no link 'toe'")],
)
def test_a_urdf_without_the_arm_is_refused(joints, tip, text):
    with pytest.raises(ParameterError, match=text):
        arm_from_urdf(URDF.read_text(), joints, tip)
    with pytest.raises(ParameterError, match='cannot be read'):
        arm_from_urdf('<robot', joints, tip)


def test_commands_over_topics(context, station, space):
    """Trajectories for a JTC; old commands and other frames move nothing."""
    driving = {
        'controller': 'trajectory', 'command_topic': 'jtc/joint_trajectory',
        'command_expiry_sec': 5.0, 'state_timeout_sec': 5.0,
    }  # fmt: skip
    with Host(context, ArmDriverNode, namespace=space, **driving) as host:
        states = station.publisher(JointState, 'joint_states')
        actions = station.publisher(EndEffectorAction, 'policy/action')
        sent = station.collect(JointTrajectory, 'jtc/joint_trajectory')
        poses = station.collect(PoseStamped, 'ee_pose', qos.SENSOR)
        state = encode_joint_state(JOINTS, HOME_JOINTS, stamp_ns=7 * NS)
        pose = until(lambda: states.publish(state) or poses, 'the pose')[0]
        assert to_ns(pose.header.stamp) == 7 * NS
        assert pose.header.frame_id == 'base_link'
        for frame, age_ns in (('camera', 0), ('base_link', 60 * NS), ('base_link', 0)):
            assert not sent
            message = EndEffectorAction(gripper_opening=1.0)
            message.header.frame_id = frame
            message.header.stamp = to_time(station.node.get_clock().now().nanoseconds - age_ns)
            message.delta.linear.x = 0.02
            actions.publish(message)
        until(lambda: len(sent) > 5, 'targets')
        assert sent[0].joint_names == list(JOINTS)
        assert to_ns(sent[0].header.stamp) == 0
        assert len(sent[0].points[0].positions) == 7
        assert host.node._follower.moving


@pytest.mark.parametrize(
    ('parameters', 'text'),
    [
        ({'controller': 'velocity'}, 'positions, trajectory'),
        ({'urdf_file': 'nowhere.urdf'}, 'name the joints'),
        ({'urdf_file': 'nowhere.urdf', 'joints': ['a'], 'tip_link': 'b'}, 'nowhere.urdf'),
        ({'gripper_topic': 'fingers'}, 'gripper_joints is empty'),
        ({'workspace': '1 2 3'}, '6 finite numbers'),
    ],
)
def test_parameters_that_make_no_sense_are_named(context, parameters, text):
    with pytest.raises(ParameterError, match=text), Host(context, ArmDriverNode, **parameters):
        pass


def test_arrays_for_a_position_controller(context, station, space):
    fingers = {'gripper_topic': 'grip', 'gripper_joints': ['l', 'r']}
    names, at = (*JOINTS, 'l'), (*HOME_JOINTS, 0.04)
    with Host(context, ArmDriverNode, namespace=space, state_timeout_sec=5.0, **fingers):
        states = station.publisher(JointState, 'joint_states')
        goals = station.publisher(PoseStamped, 'arm_driver/go_to')
        arm = station.collect(Float64MultiArray, 'arm_controller/commands')
        grip = station.collect(Float64MultiArray, 'grip')
        poses = station.collect(PoseStamped, 'ee_pose', qos.SENSOR)
        state = encode_joint_state(names, at, stamp_ns=NS)
        pose = until(lambda: states.publish(state) or poses, 'the pose')[0]
        pose.pose.position.x += 0.01
        goals.publish(pose)
        until(lambda: len(arm) > 10 and grip, 'targets')
        assert list(grip[0].data) == [0.04, 0.04]
        assert len(arm[0].data) == 7
        # 0.15 m/s: slow, and far from there within the first tenth of a second.
        assert 0 < np.abs(np.subtract(arm[1].data, HOME_JOINTS)).max() < 0.02
