"""The arm driver node: end-effector actions in, joint positions for ros2_control out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from geometry_msgs.msg import PoseStamped
import mink
import numpy as np
from rclpy.node import Node
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray
from trajectory_msgs.msg import JointTrajectory

from sara_ros.core import ObservationError, ParameterError, SaraError
from sara_ros.core.limits import WorkspaceBox
from sara_ros.decoding.actions import decode_action
from sara_ros.decoding.states import decode_joint_positions, decode_pose
from sara_ros.nodes import qos
from sara_ros.nodes.parameters import ParameterSpec, declare, value
from sara_ros.nodes.process import run_node
from sara_ros.nodes.ros_time import NS, to_ns
from sara_ros.nodes.start import end
from sara_ros.nodes.state_codec import encode_pose
from sara_ros.nodes.trajectory_codec import encode_positions
from sara_ros.sim.arm import ActionSteps, JointTargets
from sara_ros.sim.arm_description import ArmDescription, arm_from_urdf, tabletop_arm
from sara_ros.sim.arm_follower import ArmFollower
from sara_ros.sim.kinematics import CONTROL_PERIOD_SEC
from sara_ros.sim.workspace import WORKSPACE, Workspace, unlimited
from sara_ros_msgs.msg import EndEffectorAction

PARAMETERS: Final = (
    ParameterSpec('urdf_file', '', 'URDF of the arm, without xacro; its root link is the frame of '
                  'the actions. Empty: the arm of the simulated tabletop.', read_only=True),
    ParameterSpec('joints', [''], 'Joints of the arm in urdf_file, from the base to the tip.',
                  read_only=True),
    ParameterSpec('tip_link', '', 'Link of urdf_file that the actions move.', read_only=True),
    ParameterSpec('base_frame', 'base_link', 'Frame of actions and poses; others are refused.'),
    ParameterSpec('action_topic', 'policy/action', 'Where the actions come from.',
                  read_only=True),
    ParameterSpec('joint_states_topic', 'joint_states', 'Measured joint positions.',
                  read_only=True),
    ParameterSpec('controller', 'positions', 'What the controller takes: positions '
                  '(Float64MultiArray, forward_command_controller) or trajectory '
                  '(JointTrajectory, joint_trajectory_controller).', read_only=True),
    ParameterSpec('command_topic', 'arm_controller/commands', 'Command topic of the controller.',
                  read_only=True),
    ParameterSpec('gripper_topic', '', 'Command topic of a position controller of the fingers; '
                  'empty: the gripper node or nobody moves them.', read_only=True),
    ParameterSpec('gripper_joints', [''], 'Fingers, in the order of that controller; the first is '
                  'also read from the joint states.', read_only=True),
    ParameterSpec('gripper_closed', 0.0, 'Finger position when closed (m or rad).', low=-10.0,
                  high=10.0),
    ParameterSpec('gripper_open', 0.04, 'Finger position when open (m or rad).', low=-10.0,
                  high=10.0),
    ParameterSpec('command_expiry_sec', 0.1, 'Actions older than this are not obeyed.',
                  low=0.01, high=5.0),
    ParameterSpec('state_timeout_sec', 0.2, 'Without joint positions for so long nothing is sent.',
                  low=0.02, high=5.0),
    ParameterSpec('idle_sec', 1.0, 'Targets stop so long after the last action.', low=0.1,
                  high=60.0),
    ParameterSpec('action_rate_hz', 20.0, 'Actions a second; each is spread over one period.',
                  low=1.0, high=100.0, read_only=True),
    ParameterSpec('max_step_m', 0.03, 'Most displacement of one action, per axis.', low=0.0,
                  high=0.2, read_only=True),
    ParameterSpec('max_step_rad', 0.15, 'Most rotation of one action, per axis.', low=0.0,
                  high=1.0, read_only=True),
    ParameterSpec('workspace', '', "Box of the end effector, 'x y z x y z' (m); empty: the "
                  "tabletop's for its arm, none for another.", read_only=True),
    ParameterSpec('approach_m_per_sec', 0.15, 'Speed on the way to ~/go_to.', low=0.01,
                  high=1.0),
    ParameterSpec('approach_rad_per_sec', 0.5, 'The same for rotation.', low=0.01, high=3.0),
)  # fmt: skip
KINDS: Final = ('positions', 'trajectory')


class ArmDriverNode(Node):
    """
    Moves an arm of ros2_control by the actions of a policy.

    Differential inverse kinematics at 100 Hz turns ``EndEffectorAction`` into joint positions
    within joint limits, speed limits and the workspace. ``ee_pose`` tells where the end effector
    is, at the rate and with the stamps of the joint states. A pose on ``~/go_to`` is approached
    slowly with the gripper open, as before a run.

    Actions that are old, in another frame or not finite are refused with a reason in the log.
    The arm moves by one action's displacement at most when actions stop, whatever the reason.
    """

    def __init__(self, **kwargs: Any) -> None:
        """
        Read the arm and subscribe.

        :raises ParameterError: when a parameter has a value that cannot be used.
        """
        super().__init__('arm_driver', **kwargs)
        declare(self, PARAMETERS)
        arm, workspace = self._arm(), self._workspace()
        self._joints = arm.joints
        self._fingers = tuple(name for name in value(self, 'gripper_joints') if name)
        self._follower = ArmFollower(
            arm,
            workspace=workspace,
            steps=ActionSteps(
                value(self, 'action_rate_hz'), value(self, 'max_step_m'),
                value(self, 'max_step_rad'),
            ),
            idle_sec=value(self, 'idle_sec'),
            state_timeout_sec=value(self, 'state_timeout_sec'),
        )  # fmt: skip
        self._send_arm = self._arm_output()
        self._send_gripper = self._gripper_output()
        self._ee_pose = self.create_publisher(PoseStamped, 'ee_pose', qos.SENSOR)
        self._inputs = (
            self.create_subscription(
                JointState, value(self, 'joint_states_topic'), self._on_joints, qos.SENSOR
            ),
            self.create_subscription(
                EndEffectorAction, value(self, 'action_topic'), self._on_action, qos.COMMAND
            ),
            self.create_subscription(PoseStamped, '~/go_to', self._on_go_to, qos.COMMAND),
        )
        self._timer = self.create_timer(CONTROL_PERIOD_SEC, self._tick)

    def _arm(self) -> ArmDescription:
        path = value(self, 'urdf_file')
        if not path:
            return tabletop_arm()
        joints = [name for name in value(self, 'joints') if name]
        if not joints or not value(self, 'tip_link'):
            raise ParameterError('with urdf_file, name the joints of the arm and its tip_link')
        try:
            text = Path(path).read_text(encoding='utf-8')
        except OSError as err:
            raise ParameterError(f"urdf_file '{path}' cannot be read: {err}") from err
        return arm_from_urdf(text, joints, value(self, 'tip_link'))

    def _workspace(self) -> Workspace:
        box = WorkspaceBox.parse(value(self, 'workspace'))
        if box is None:
            return unlimited() if value(self, 'urdf_file') else WORKSPACE
        low, high = (tuple(float(each) for each in side) for side in (box.low_m, box.high_m))
        return unlimited(low, high)  # type: ignore[arg-type]

    def _arm_output(self) -> Callable[[JointTargets], None]:
        kind, topic = value(self, 'controller'), value(self, 'command_topic')
        if kind not in KINDS:
            raise ParameterError(f"controller is '{kind}'; choose one of {', '.join(KINDS)}")
        if kind == 'positions':
            output = self.create_publisher(Float64MultiArray, topic, qos.COMMAND)
            return lambda targets: output.publish(_array(targets.positions))
        output = self.create_publisher(JointTrajectory, topic, qos.COMMAND)
        return lambda targets: output.publish(
            encode_positions(self._joints, targets.positions[None], period_sec=CONTROL_PERIOD_SEC)
        )

    def _gripper_output(self) -> Callable[[JointTargets], None] | None:
        topic = value(self, 'gripper_topic')
        if not topic:
            return None
        if not self._fingers:
            raise ParameterError(f"gripper_topic is '{topic}' and gripper_joints is empty")
        output = self.create_publisher(Float64MultiArray, topic, qos.COMMAND)
        return lambda targets: output.publish(
            _array(np.full(len(self._fingers), self._finger_position(targets.opening)))
        )

    def _on_joints(self, message: JointState) -> None:
        try:
            joints = decode_joint_positions(message, self._joints)
            fingers = decode_joint_positions(message, self._fingers[:1])
        except ObservationError as err:
            self._warn(f'joint state dropped ({err.reason}): {err}')
            return
        opening = self._opening(float(fingers[0])) if fingers.size else None
        self._follower.saw(joints.astype(np.float64), opening, self._now_ns())
        tip = self._follower.tip
        pose = np.concatenate([tip.translation(), np.roll(tip.rotation().wxyz, -1)])
        self._ee_pose.publish(
            encode_pose(
                pose, stamp_ns=to_ns(message.header.stamp), frame_id=value(self, 'base_frame')
            )
        )

    def _on_action(self, message: EndEffectorAction) -> None:
        now_ns = self._now_ns()
        age_ns = now_ns - to_ns(message.header.stamp)
        if abs(age_ns) > value(self, 'command_expiry_sec') * NS:
            self._warn(
                f'command {message.sequence} is {age_ns / NS:.3f} s old and was not obeyed '
                '(command_expiry_sec)'
            )
            return
        try:
            self._check_frame(message.header.frame_id)
            self._follower.obey(decode_action(message), now_ns)
        except SaraError as err:
            self._warn(f'command {message.sequence} refused: {err}')

    def _on_go_to(self, message: PoseStamped) -> None:
        try:
            self._check_frame(message.header.frame_id)
            pose = decode_pose(message).astype(np.float64)
            self._follower.approach(
                mink.SE3(wxyz_xyz=np.concatenate([np.roll(pose[3:], 1), pose[:3]])),
                1.0,
                self._now_ns(),
                m_per_sec=value(self, 'approach_m_per_sec'),
                rad_per_sec=value(self, 'approach_rad_per_sec'),
            )
        except SaraError as err:
            self._warn(f'~/go_to refused: {err}')

    def _check_frame(self, frame: str) -> None:
        if frame != value(self, 'base_frame'):
            raise ParameterError(
                f"it is in frame '{frame}' and the arm in '{value(self, 'base_frame')}'; "
                'set base_frame or serve a model with actions in that frame'
            )

    def _tick(self) -> None:
        try:
            targets = self._follower.targets(self._now_ns())
        except SaraError as err:
            self._warn(str(err))
            return
        if targets is None:
            return
        self._send_arm(targets)
        if self._send_gripper is not None:
            self._send_gripper(targets)

    def _opening(self, position: float) -> float:
        closed, opened = value(self, 'gripper_closed'), value(self, 'gripper_open')
        return (position - closed) / (opened - closed) if opened != closed else 1.0

    def _finger_position(self, opening: float) -> float:
        closed, opened = value(self, 'gripper_closed'), value(self, 'gripper_open')
        return float(closed + opening * (opened - closed))

    def _warn(self, text: str) -> None:
        self.get_logger().warning(text, throttle_duration_sec=2.0)

    def _now_ns(self) -> int:
        return int(self.get_clock().now().nanoseconds)


def _array(values: Any) -> Float64MultiArray:
    return Float64MultiArray(data=[float(each) for each in values])


def main(args: list[str] | None = None) -> int:
    """Run the node in its own process."""
    return run_node(ArmDriverNode, args)


if __name__ == '__main__':
    end(main())
