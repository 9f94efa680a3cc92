"""The Gazebo scene node: what the embedded simulator tells beside sensors, for a Gazebo world."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, Final, Protocol

from geometry_msgs.msg import PoseStamped, TransformStamped
import numpy as np
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.task import Future
from sensor_msgs.msg import JointState
from std_msgs.msg import Bool

from sara_ros.core import ObservationError, ParameterError, SaraError
from sara_ros.decoding.states import decode_joint_positions, decode_pose
from sara_ros.nodes import qos
from sara_ros.nodes.parameters import ParameterSpec, declare, value
from sara_ros.nodes.process import run_node
from sara_ros.nodes.ros_time import to_ns
from sara_ros.nodes.start import end
from sara_ros.nodes.state_codec import encode_objects, encode_pose
from sara_ros.sim.scene import BASE_FRAME, COLORS, FINGER_JOINT, FINGER_TRAVEL_M, OBJECTS
from sara_ros.sim.state import Pose, WorldState
from sara_ros.sim.tasks import Task
from sara_ros.sim.world import TabletopWorld
from sara_ros_msgs.msg import ObjectStates
from sara_ros_msgs.srv import ResetScene

PARAMETERS: Final = (
    ParameterSpec('world', 'tabletop', 'Name of the Gazebo world.', read_only=True),
    ParameterSpec('reset_timeout_sec', 20.0, 'Longest time for the arm to get to its start.',
                  low=1.0, high=120.0),
)  # fmt: skip
SIMULATOR: Final = 'simulator'
"""The embedded simulator's name, whose topics and services these are."""
ASKED_EVERY_SEC: Final = 0.5
ARRIVED_M: Final = 0.01
"""How close to its start the arm is when an episode begins."""


class Placer(Protocol):
    """Puts objects of the simulated world somewhere."""

    def place(self, poses: Mapping[str, Pose]) -> list[Future]:
        """Start to put each object at its pose; the results tell whether that was possible."""
        ...


class GazeboPlacer:
    """Puts models somewhere through ``ros_gz_bridge`` and the world's ``set_pose`` service."""

    def __init__(self, node: Node, world: str) -> None:
        """
        Make the client.

        :raises ParameterError: where ``ros_gz_interfaces`` is not installed.
        """
        try:
            self._srv = import_module('ros_gz_interfaces.srv').SetEntityPose
            self._entity = import_module('ros_gz_interfaces.msg').Entity
        except ImportError as err:
            raise ParameterError(
                f'ros_gz_interfaces is not installed: {err}; install ros-$ROS_DISTRO-ros-gz'
            ) from err
        self._client = node.create_client(self._srv, f'/world/{world}/set_pose')

    def place(self, poses: Mapping[str, Pose]) -> list[Future]:
        """
        Ask for each pose.

        :raises SaraError: when the bridge of the service is not there.
        """
        if not self._client.service_is_ready():
            raise SaraError(
                f"no service '{self._client.srv_name}'; bridge it with ros_gz_bridge 1.0.11 or "
                'newer, as gazebo.launch.py does'
            )
        return [self._client.call_async(self._request(name, pose)) for name, pose in poses.items()]

    def _request(self, name: str, pose: Pose) -> Any:
        request = self._srv.Request()
        request.entity = self._entity(name=name, type=self._entity.MODEL)
        request.pose = encode_pose(pose.vector, stamp_ns=0, frame_id='').pose
        return request


class GazeboSceneNode(Node):
    """
    Truth about a Gazebo tabletop, on the topics and services of the embedded simulator.

    Poses of the models, one ``TransformStamped`` each on ``object_poses``, become ``objects``.
    ``simulator/reset_scene`` puts the objects where the embedded simulator has them for the same
    seed and sends the arm to the same start; the instruction is judged from then on, and
    ``simulator/success`` tells the result.
    """

    def __init__(self, *, placer: Placer | None = None, **kwargs: Any) -> None:
        """
        Subscribe.

        :param placer: who moves the objects; by default Gazebo.
        :raises ParameterError: where ``ros_gz_interfaces`` is not installed.
        """
        super().__init__('gazebo_scene', **kwargs)
        declare(self, PARAMETERS)
        self._placer = placer or GazeboPlacer(self, value(self, 'world'))
        self._layouts = TabletopWorld()
        self._seen: dict[str, tuple[Pose, int]] = {}
        self._told_ns = 0
        self._ee: Pose | None = None
        self._opening: float | None = None
        self._task: Task | None = None
        self._succeeded = False
        self._peaks: dict[str, float] = {}
        self._start: tuple[np.ndarray[Any, Any], Future] | None = None
        self._objects = self.create_publisher(ObjectStates, 'objects', qos.SENSOR)
        self._success = self.create_publisher(Bool, f'{SIMULATOR}/success', qos.LATCHED)
        self._go_to = self.create_publisher(PoseStamped, 'arm_driver/go_to', qos.COMMAND)
        self._inputs = (
            self.create_subscription(TransformStamped, 'object_poses', self._on_object, qos.STATE),
            self.create_subscription(PoseStamped, 'ee_pose', self._on_ee_pose, qos.SENSOR),
            self.create_subscription(JointState, 'joint_states', self._on_joints, qos.SENSOR),
        )
        # A reset waits for the poses that the other callbacks receive.
        self._service = self.create_service(
            ResetScene,
            f'{SIMULATOR}/reset_scene',
            self._on_reset,
            callback_group=ReentrantCallbackGroup(),
        )

    def _on_object(self, message: TransformStamped) -> None:
        name, place = message.child_frame_id, message.transform.translation
        turn = message.transform.rotation
        if name not in OBJECTS:
            return
        position = np.array([place.x, place.y, place.z])
        pose = Pose(position, np.array([turn.x, turn.y, turn.z, turn.w]))
        self._seen[name] = pose, to_ns(message.header.stamp)
        if name in self._peaks:
            self._peaks[name] = max(self._peaks[name], float(position[2]))
        self._tell()

    def _tell(self) -> None:
        """Publish the objects once all of one instant are here, and judge."""
        if len(self._seen) < len(OBJECTS):
            return
        stamps = [stamp_ns for _, stamp_ns in self._seen.values()]
        stamp_ns = min(stamps)
        if stamp_ns <= self._told_ns:
            # A world that was reset starts at zero again.
            self._told_ns = min(self._told_ns, max(stamps))
            return
        self._told_ns = stamp_ns
        poses = np.stack([self._seen[name][0].vector for name in OBJECTS])
        self._objects.publish(
            encode_objects(OBJECTS, poses, stamp_ns=stamp_ns, frame_id=BASE_FRAME)
        )
        self._judge()

    def _judge(self) -> None:
        if self._task is None or self._succeeded or self._ee is None or self._opening is None:
            return
        state = WorldState(
            ee=self._ee,
            gripper_opening=self._opening,
            objects={name: pose for name, (pose, _) in self._seen.items()},
            peak_heights_m=self._peaks,
        )
        if self._task.success(state):
            self._succeeded = True
            self._success.publish(Bool(data=True))

    def _on_ee_pose(self, message: PoseStamped) -> None:
        try:
            pose = Pose.from_vector(decode_pose(message))
        except ObservationError:
            return
        self._ee = pose
        if self._start is not None:
            position, arrived = self._start
            if not arrived.done() and np.linalg.norm(pose.position - position) < ARRIVED_M:
                arrived.set_result(True)

    def _on_joints(self, message: JointState) -> None:
        try:
            finger = float(decode_joint_positions(message, (FINGER_JOINT,))[0])
        except ObservationError:
            return  # joints of something else
        self._opening = finger / FINGER_TRAVEL_M

    async def _on_reset(
        self, request: ResetScene.Request, response: ResetScene.Response
    ) -> ResetScene.Response:
        response.object_names = list(OBJECTS)
        try:
            task = Task.parse(request.instruction) if request.instruction else None
            await self._reset(int(request.seed), task)
        except SaraError as err:
            response.message = str(err)
            return response
        response.success, response.message = True, f'seed {request.seed}'
        return response

    async def _reset(self, seed: int, task: Task | None) -> None:
        """Send the arm up and away first: it must not stand where a block is put."""
        self._task = None
        layout = self._layouts.reset(seed, task)
        arrived = self._going_to(layout.ee)
        if not await arrived:
            raise SaraError(
                f'the arm did not get to its start within {value(self, "reset_timeout_sec"):g} s; '
                'check the arm driver and its controller'
            )
        placed = [await future for future in self._placer.place(layout.objects)]
        if not all(each is not None and each.success for each in placed):
            raise SaraError('Gazebo did not move all objects; check the names of its models')
        self._seen.clear()  # what was seen before they were moved counts no more
        self._peaks = dict.fromkeys(COLORS, 0.0)
        self._task, self._succeeded = task, False
        self._success.publish(Bool(data=False))

    def _going_to(self, pose: Pose) -> Future:
        """Ask the arm driver for a pose; the future tells whether the arm got there in time."""
        arrived: Future = Future(executor=self.executor)
        self._start = pose.position, arrived
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        deadline = steady.now() + Duration(seconds=value(self, 'reset_timeout_sec'))

        def ask() -> None:
            if arrived.done() or steady.now() > deadline:
                timer.cancel()
                self.destroy_timer(timer)
            if arrived.done():
                return
            if steady.now() > deadline:
                arrived.set_result(False)
                return
            self._go_to.publish(
                encode_pose(
                    pose.vector,
                    stamp_ns=self.get_clock().now().nanoseconds,
                    frame_id=BASE_FRAME,
                )
            )

        # Again and again: a driver that was started just now may not hear the first one.
        timer = self.create_timer(ASKED_EVERY_SEC, ask, clock=steady)
        ask()
        return arrived


def main(args: list[str] | None = None) -> int:
    """Run the node in its own process."""
    return run_node(GazeboSceneNode, args)


if __name__ == '__main__':
    end(main())
