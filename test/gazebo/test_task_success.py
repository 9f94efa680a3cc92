"""The same tasks through the same topics, whoever simulates the tabletop."""

from contextlib import ExitStack, contextmanager
import os
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest

rclpy = pytest.importorskip('rclpy')

from gazebo.stand_in import StandIn  # noqa: E402
from nodes.host import Host, until  # noqa: E402
from std_msgs.msg import Bool  # noqa: E402

from sara_ros.core import ParameterError  # noqa: E402
from sara_ros.nodes import qos  # noqa: E402
from sara_ros.nodes.arm_driver import ArmDriverNode  # noqa: E402
from sara_ros.nodes.gazebo_scene import GazeboSceneNode  # noqa: E402
from sara_ros.nodes.policy import PolicyNode  # noqa: E402
from sara_ros.nodes.process import bring_up  # noqa: E402
from sara_ros.nodes.simulator import SimulatorNode  # noqa: E402
from sara_ros.sim.state import Pose  # noqa: E402
from sara_ros_msgs.srv import ResetScene  # noqa: E402

DRIVER = {
    # A busy machine lets nodes wait.
    'state_timeout_sec': 5.0,
    'command_expiry_sec': 1.0,
    'approach_m_per_sec': 0.5,
    'approach_rad_per_sec': 2.0,
    'gripper_topic': 'gripper_controller/commands',
    'gripper_joints': ['finger_joint', 'finger_joint_mimic'],
}
TASKS = ('reach the red block', 'lift the green block')


LAUNCH = ('ros2', 'launch', 'sara_ros', 'gazebo.launch.py')


@contextmanager
def expert(context, space):
    """Run the policy that the launch file for Gazebo has of its own."""
    with Host(context, PolicyNode, namespace=space, model='scripted_expert') as policy:
        policy.on_executor(lambda: bring_up(policy.node))
        yield


@contextmanager
def embedded(context, space):
    """Run the embedded simulator."""
    with Host(context, SimulatorNode, namespace=space), expert(context, space):
        yield


@contextmanager
def stand_in(context, space):
    """Run what gazebo.launch.py runs, with MuJoCo in the place of Gazebo and its controllers."""
    with ExitStack() as stack:
        world = stack.enter_context(Host(context, StandIn, namespace=space)).node

        def scene(**kwargs):
            return GazeboSceneNode(placer=world, **kwargs)

        stack.enter_context(Host(context, ArmDriverNode, namespace=space, **DRIVER))
        stack.enter_context(Host(context, scene, namespace=space))
        stack.enter_context(expert(context, space))
        yield


@contextmanager
def gazebo(_, space):
    """Run Gazebo itself; the launch file brings the policy up."""
    if why := why_not_gazebo():
        pytest.skip(why)
    arguments = ['headless:=true', 'model:=scripted_expert', f'namespace:={space.strip("/")}']
    process = subprocess.Popen([*LAUNCH, *arguments], start_new_session=True)
    try:
        yield
    finally:
        os.killpg(process.pid, signal.SIGINT)
        process.wait(30)


def why_not_gazebo():
    """Return why Gazebo cannot be launched here; empty where it can."""
    missing = [name for name in ('gz', 'ros2') if shutil.which(name) is None]
    if missing:
        return f'needs Gazebo (gz) and a sourced ROS installation (ros2); no {missing[0]}'
    try:
        # In the environment of `make test` a ros2 may be found that finds no ROS.
        done = subprocess.run(
            [*LAUNCH, '--show-args'], capture_output=True, text=True, timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as err:
        return f'ros2 does not work here: {err}'
    said = (done.stderr or done.stdout).strip().splitlines() or ['']
    return f'ros2 does not work here: {said[-1]}' if done.returncode else ''


@pytest.fixture(scope='module', params=[embedded, stand_in, gazebo], ids=lambda run: run.__name__)
def simulated(request, context, station):
    """Run a simulator and the scripted expert, and have the station work in their namespace."""
    space = f'/{request.param.__name__}'
    with request.param(context, space):
        station.namespace = space
        client = station.policy()
        client.wait(lambda status: status.observations_received > 5)
        yield client
    station.namespace = ''


@pytest.mark.parametrize('instruction', TASKS)
def test_the_expert_succeeds(simulated, station, instruction):
    success = station.collect(Bool, 'simulator/success', qos.LATCHED)
    request = ResetScene.Request(seed=3, instruction=instruction)
    answer = station.call(ResetScene, 'simulator/reset_scene', request)
    assert answer.success, answer.message
    assert len(answer.object_names) == 5
    result = simulated.run(instruction, timeout_sec=30.0)
    assert result.termination_reason == 'terminate'
    until(lambda: success and success[-1].data, 'success')


def test_a_task_nobody_knows_is_refused(simulated, station):
    request = ResetScene.Request(seed=3, instruction='fold the towel')
    answer = station.call(ResetScene, 'simulator/reset_scene', request)
    assert not answer.success
    assert 'fold the towel' in answer.message


def test_objects_are_moved_through_the_bridge(context, station, space):
    """The request that ros_gz_bridge passes on to the world's set_pose."""
    service = pytest.importorskip('ros_gz_interfaces.srv', reason='needs ros_gz_interfaces')
    requests = []

    def answer(request, response):
        requests.append(request)
        response.success = True
        return response

    server = station.node.create_service(service.SetEntityPose, '/world/table/set_pose', answer)
    with Host(context, GazeboSceneNode, namespace=space, world='table') as host:
        placer = host.node._placer
        until(placer._client.service_is_ready, 'the service')
        poses = {'red': Pose(np.array([0.4, 0.1, 0.02]), np.array([0.0, 0.0, 0.0, 1.0]))}
        futures = host.on_executor(lambda: placer.place(poses))
        until(futures[0].done, 'an answer')
        assert futures[0].result().success
    station.node.destroy_service(server)
    (request,) = requests
    assert (request.entity.name, request.entity.type) == ('red', 2)
    assert request.pose.position.y == pytest.approx(0.1)


@pytest.mark.parametrize(
    ('script', 'why'),
    [
        ('#!/bin/sh\necho "No module named \'ros2cli\'" >&2\nexit 1\n', "named 'ros2cli'"),
        ('#!/nowhere/python\n', 'No such file'),
    ],
)
def test_a_ros2_that_finds_no_ros_is_a_reason_to_skip(tmp_path, monkeypatch, script, why):
    """It was an error of the tests that take the fixture."""
    for name, text in (('gz', '#!/bin/sh\n'), ('ros2', script)):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv('PATH', str(tmp_path))
    assert why in why_not_gazebo()


def test_a_missing_bridge_is_named(context, monkeypatch):
    for name in ('ros_gz_interfaces', 'ros_gz_interfaces.srv'):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ParameterError, match='ros-gz'):
        GazeboSceneNode(context=context)
