"""The simulated arm in a process of its own, and where its end effector was when."""

from contextlib import contextmanager
from itertools import chain, repeat
import subprocess
import sys
import time

from core.fakes import FakePolicy, chunk_of
from geometry_msgs.msg import PoseStamped
import mujoco
from nodes.host import ACTIVATE, CONFIGURE, Host, until
import numpy as np
from sensor_msgs.msg import JointState

from sara_ros.core import ObservationSpec, PolicySpec
from sara_ros.evaluation.fault_report import periods_lost, still_since_ns
from sara_ros.nodes import qos
from sara_ros.nodes.policy import PolicyNode
from sara_ros.nodes.ros_time import NS, to_ns
from sara_ros.sim import scene
from sara_ros.sim.action_space import RATE_HZ, tabletop_action
from sara_ros_msgs.msg import EndEffectorAction
from sara_ros_msgs.srv import ResetScene

SPACE = '/arm'
PERIOD_NS = round(NS / RATE_HZ)
SETTLE_SEC = 0.6
STROKE = 12
"""Commands in one direction; the arm goes to and fro."""
STEP_M = 0.015
LIMITS = {'observation_timeout_sec': 0.4, 'chunk_timeout_sec': 0.4}
SMALL = {'front_width_px': 64, 'front_height_px': 48, 'wrist_size_px': 16, 'points_width_px': 16}


class Process:
    """A node of this package in a process of its own."""

    def __init__(self, log, module, *arguments, **parameters):
        self.log = log
        command = [sys.executable, '-m', f'sara_ros.nodes.{module}', '--ros-args', *arguments]
        for name, value in parameters.items():
            command += ['-p', f'{name}:={value}']
        with log.open('wb') as output:
            self._process = subprocess.Popen(command, stdout=output, stderr=output)

    @property
    def pid(self):
        """Its process identifier."""
        return self._process.pid

    @property
    def alive(self):
        """Whether it has not ended."""
        return self._process.poll() is None

    def send(self, number):
        """Send a signal and return when, in ns."""
        self._process.send_signal(number)
        return time.time_ns()

    def wait(self):
        """Return the exit code once it has ended."""
        return self._process.wait(20)

    def kill(self):
        """Make sure that it is gone."""
        self._process.kill()
        self._process.wait()


class Arm:
    """The simulator's process and what it reports; commands go to ``/arm/action``."""

    def __init__(self, station, folder):
        self._station = station
        self._log = folder / 'simulator.log'
        self._model = scene.build_arm_model()
        self._data = mujoco.MjData(self._model)
        self._joints = station.collect(JointState, f'{SPACE}/joint_states', qos.SENSOR)
        self.poses = station.collect(PoseStamped, f'{SPACE}/ee_pose', qos.SENSOR)
        self.commands = station.collect(EndEffectorAction, f'{SPACE}/action')
        self.start()

    def start(self):
        """Start the simulator and wait for its sensors."""
        self.process = Process(
            self._log, 'simulator', '-r', f'__ns:={SPACE}', action_topic='action', **SMALL
        )
        self.poses.clear()
        until(lambda: len(self.poses) > 3, 'the simulator')

    def reset(self, seed=1):
        """Bring the arm back to its home position and forget what was recorded."""
        request = ResetScene.Request(seed=seed)
        assert self._station.call(ResetScene, f'{SPACE}/simulator/reset_scene', request).success
        self._joints.clear()
        self.commands.clear()

    def path(self):
        """Return the stamps (ns) and places (m) of the end effector."""
        messages = list(self._joints)
        return [to_ns(each.header.stamp) for each in messages], np.array(
            [self._place(each.position) for each in messages]
        )

    def stopped_ms(self, cause_ns):
        """Return how long after ``cause_ns`` the arm stood still for good."""
        time.sleep(SETTLE_SEC)
        moved_m = self.way_m()
        times_ns, places_m = self.path()
        assert moved_m > 0.02, f'the arm moved by {moved_m:.3f} m only'
        return max(0.0, (still_since_ns(times_ns, places_m) - cause_ns) / 1e6)

    def way_m(self):
        """Return the longest way along an axis since the recording began."""
        places_m = self.path()[1]
        return float(np.ptp(places_m, axis=0).max()) if len(places_m) else 0.0

    def moved_m(self):
        """Return the longest way along an axis once the arm has settled."""
        time.sleep(SETTLE_SEC)
        return self.way_m()

    def lost(self):
        """Return the command periods without a command."""
        return periods_lost([to_ns(each.header.stamp) for each in self.commands], PERIOD_NS)

    def _place(self, positions):
        self._data.qpos[:7] = positions[:7]
        mujoco.mj_kinematics(self._model, self._data)
        return np.array(self._data.site('ee').xpos)


class Mover(FakePolicy):
    """Moves the arm to and fro by what it reports, until ``misbehave`` is set."""

    def __init__(self):
        pose = ObservationSpec('ee_pose', 'pose', (7,), 'm', scene.BASE_FRAME, max_age_sec=0.3)
        spec = PolicySpec('mover', 'rt2', (pose,), tabletop_action())
        super().__init__(self._act, spec=spec)
        ways = chain(repeat(STEP_M, STROKE // 2), repeat(-STEP_M, STROKE))
        self._steps = chain(ways, *(repeat(way, STROKE) for way in (STEP_M, -STEP_M) * 99))
        self.misbehave = None
        self.misbehaved_ns = 0

    def _act(self, observation):
        if self.misbehave is not None and observation.instruction == 'move':
            self.misbehaved_ns = self.misbehaved_ns or time.time_ns()
            return self.misbehave(observation)
        values = np.zeros(8, np.float32)
        values[2], values[7] = next(self._steps), 1.0
        return chunk_of(observation, values)


@contextmanager
def moving(context, station, arm, policy, monkeypatch, **parameters):
    """Activate a node that moves the arm, start a run, and yield host, client and goal."""
    monkeypatch.setattr('sara_ros.nodes.policy.load_policy', lambda *_, **__: policy)
    parameters = {'topics.ee_pose': f'{SPACE}/ee_pose', **LIMITS, **parameters}
    arguments = ['--ros-args', '-r', f'~/action:={SPACE}/action']

    def make(**options):
        return PolicyNode(cli_args=arguments, **options)

    arm.reset()
    with Host(context, make, namespace=station.namespace, **parameters) as host:
        client = station.policy()
        assert station.transition(CONFIGURE)
        assert station.transition(ACTIVATE)
        handle = client.send('move')
        until(lambda: len(arm.commands) > 8, 'commands')
        yield host, client, handle
