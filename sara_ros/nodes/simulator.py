"""The simulator node: the MuJoCo tabletop behind the topics a robot would have."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from threading import Event, Thread
import time
from typing import Any, Final

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rosgraph_msgs.msg import Clock as ClockMessage
from std_msgs.msg import Bool

from sara_ros.core import SaraError
from sara_ros.core.errors import describe
from sara_ros.decoding.actions import decode_action
from sara_ros.nodes import qos
from sara_ros.nodes.parameters import ParameterSpec, declare, value
from sara_ros.nodes.process import run_node
from sara_ros.nodes.ros_time import NS, to_ns, to_time
from sara_ros.nodes.simulated_sensors import SimulatedSensors
from sara_ros.nodes.start import end
from sara_ros.sim.cameras import CameraRig
from sara_ros.sim.scene import OBJECTS
from sara_ros.sim.tasks import Task
from sara_ros.sim.world import TabletopWorld
from sara_ros_msgs.msg import EndEffectorAction
from sara_ros_msgs.srv import ResetScene

PARAMETERS: Final = (
    ParameterSpec('seed', 0, 'Layout of the scene at start.', low=0, high=2**31 - 1),
    ParameterSpec('physics_rate_hz', 100.0, 'Physics and joint states.', low=20.0, high=400.0),
    ParameterSpec('camera_rate_hz', 20.0, 'Cameras and points.', low=1.0, high=60.0),
    ParameterSpec('front_width_px', 640, 'Front camera width.', low=16, high=640),
    ParameterSpec('front_height_px', 480, 'Front camera height.', low=12, high=480),
    ParameterSpec('wrist_size_px', 128, 'Wrist camera width and height.', low=16, high=480),
    ParameterSpec('points_width_px', 160, 'Depth image width behind the points.',
                  low=16, high=640),
    ParameterSpec('command_expiry_sec', 0.1, 'Commands older than this do not move the arm.',
                  low=0.01, high=5.0),
    ParameterSpec('action_topic', 'policy/action', 'Where the commands come from.'),
)  # fmt: skip
LARGEST_PIECE_SEC: Final = 0.05
"""Most simulated time made up for at once; a machine slower than that runs in slow motion."""


class SimulatorNode(Node):
    """
    Runs the tabletop in real time.

    Stamps are the time of this machine, as a robot's drivers would set them, and ``/clock``
    carries the same; with ``use_sim_time`` this node would wait for its own clock. Physics and
    rendering have a thread of their own; callbacks only hand work over. The arm moves by one
    command's displacement at most, so it holds still when commands stop, whatever the reason.
    """

    def __init__(self, **kwargs: Any) -> None:
        """
        Declare the parameters and start the simulation.

        :raises ParameterError: when one of them has a value that cannot be used.
        """
        super().__init__('simulator', **kwargs)
        declare(self, PARAMETERS)
        self._jobs: deque[Callable[[], None]] = deque()
        self._task: Task | None = None
        self._succeeded = False
        self._expired = 0
        self._expiry_ns = int(value(self, 'command_expiry_sec') * NS)
        self._clock_pub = self.create_publisher(ClockMessage, '/clock', qos.SENSOR)
        self._success = self.create_publisher(Bool, '~/success', qos.LATCHED)
        self._diagnostics = self.create_publisher(DiagnosticArray, '/diagnostics', qos.COMMAND)
        self._actions = self.create_subscription(
            EndEffectorAction, value(self, 'action_topic'), self._on_action, qos.COMMAND
        )
        self._resets = self.create_service(ResetScene, '~/reset_scene', self._on_reset)
        self._sensors = SimulatedSensors(self)
        self._stopping = Event()
        self._failure: Exception | None = None
        self._watch = self.create_timer(
            0.2, self._check, clock=Clock(clock_type=ClockType.STEADY_TIME)
        )
        self._thread = Thread(target=self._run, name='simulation', daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop the simulation."""
        self._stopping.set()
        self._thread.join(timeout=5.0)

    def _check(self) -> None:
        """End the process when the simulation failed: without it there is nothing to serve."""
        if self._failure is not None:
            raise SaraError(
                f'the simulation stopped: {describe(self._failure)}'
            ) from self._failure

    def _run(self) -> None:
        try:
            self._simulate()
        except Exception as err:
            self._failure = err

    def _simulate(self) -> None:
        self._world = world = TabletopWorld()
        world.reset(value(self, 'seed'))
        with CameraRig(world.model) as rig:
            self._sensors.attach(world, rig)
            pace = _Pace(value(self, 'physics_rate_hz'))
            cameras = _Every(1 / value(self, 'camera_rate_hz'), pace.tick_ns)
            report = _Every(1.0, pace.tick_ns)
            while not self._stopping.is_set():
                while self._jobs:
                    self._jobs.popleft()()
                world.advance(pace.wait(self._stopping))
                self._judge()
                stamp_ns = time.time_ns()
                self._clock_pub.publish(ClockMessage(clock=to_time(stamp_ns)))
                if cameras.due(pace.tick_ns):
                    self._sensors.publish_all(stamp_ns)
                else:
                    self._sensors.publish_joints(stamp_ns)
                if report.due(pace.tick_ns):
                    self._report(stamp_ns, pace)

    def _judge(self) -> None:
        if self._task is None or self._succeeded or not self._task.success(self._world.state):
            return
        self._succeeded = True
        self._success.publish(Bool(data=True))

    def _on_action(self, message: EndEffectorAction) -> None:
        self._jobs.append(lambda: self._obey(message))

    def _obey(self, message: EndEffectorAction) -> None:
        """Carry a command out unless it waited for too long, on its way or in this process."""
        age_ns = time.time_ns() - to_ns(message.header.stamp)
        if abs(age_ns) > self._expiry_ns:
            self._expired += 1
            self.get_logger().warning(
                f'command {message.sequence} is {age_ns / NS:.3f} s old and was not obeyed '
                '(command_expiry_sec)', throttle_duration_sec=2.0,
            )  # fmt: skip
            return
        try:
            self._world.apply(decode_action(message))
        except SaraError as err:
            self.get_logger().error(
                f'command {message.sequence} refused: {err}', throttle_duration_sec=2.0
            )

    def _on_reset(
        self, request: ResetScene.Request, response: ResetScene.Response
    ) -> ResetScene.Response:
        try:
            task = Task.parse(request.instruction) if request.instruction else None
        except SaraError as err:
            response.message = str(err)
            return response
        done = Event()
        self._jobs.append(lambda: self._reset(int(request.seed), task, done))
        response.success = done.wait(timeout=5.0)
        response.message = f'seed {request.seed}' if response.success else 'simulation is stuck'
        response.object_names = list(OBJECTS)
        return response

    def _reset(self, seed: int, task: Task | None, done: Event) -> None:
        self._world.reset(seed, task)
        self._task, self._succeeded = task, False
        self._success.publish(Bool(data=False))
        done.set()

    def _report(self, stamp_ns: int, pace: _Pace) -> None:
        figures = {
            'real_time_factor (ratio)': f'{pace.real_time_factor():.3f}',
            'expired_commands (count)': str(self._expired),
            **{f'published {name} (count)': str(n) for name, n in self._sensors.published.items()},
        }
        status = DiagnosticStatus(
            level=DiagnosticStatus.OK,
            name=f'{self.get_fully_qualified_name()}: simulation',
            message='running',
            values=[KeyValue(key=key, value=text) for key, text in figures.items()],
        )
        message = DiagnosticArray(status=[status])
        message.header.stamp = to_time(stamp_ns)
        self._diagnostics.publish(message)


class _Every:
    """Tells when a period has passed on the grid of the physics ticks."""

    def __init__(self, period_sec: float, start_ns: int) -> None:
        self._period_ns = round(period_sec * NS)
        self._next_ns = start_ns

    def due(self, tick_ns: int) -> bool:
        # A period that is a whole number of ticks must not fall one tick short by rounding.
        if tick_ns < self._next_ns - self._period_ns // 1000:
            return False
        self._next_ns = max(self._next_ns + self._period_ns, tick_ns)
        return True


class _Pace:
    """
    Ticks at a fixed rate, and keeps simulated time beside real time.

    ``tick_ns`` is when the present tick was due. Cameras go by it: their phase must not wander
    with the time that drawing takes, because commands follow it.
    """

    def __init__(self, rate_hz: float) -> None:
        self._period_ns = round(NS / rate_hz)
        self._now_ns = self._started_ns = self.tick_ns = time.monotonic_ns()
        self._simulated_sec = 0.0

    def wait(self, stopping: Event) -> float:
        """Sleep until the next tick and return the time since the last one in seconds."""
        self.tick_ns += self._period_ns
        stopping.wait(max(self.tick_ns - time.monotonic_ns(), 0) / NS)
        now_ns = time.monotonic_ns()
        missed = (now_ns - self.tick_ns) // self._period_ns
        self.tick_ns += missed * self._period_ns
        piece_sec = min((now_ns - self._now_ns) / NS, LARGEST_PIECE_SEC)
        self._now_ns = now_ns
        self._simulated_sec += piece_sec
        return piece_sec

    def real_time_factor(self) -> float:
        return self._simulated_sec * NS / max(time.monotonic_ns() - self._started_ns, 1)


def main(args: list[str] | None = None) -> int:
    """Run the node in its own process."""
    return run_node(SimulatorNode, args)


if __name__ == '__main__':
    end(main())
