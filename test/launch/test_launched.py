"""The launch files by the real ``launch``, where it is installed."""

from contextlib import suppress
import os
from pathlib import Path
import signal
import subprocess
import sys

from evaluation.replay.bags import ACTION, JOINT_STATE, MAKER, MS, POSE, START_NS, write_bag
import pytest

pytest.importorskip('launch.actions', reason='launch comes with a ROS installation')
pytest.importorskip('launch_ros.actions', reason='launch_ros comes with a ROS installation')
pytest.importorskip('launch_testing', reason='launch_testing comes with a ROS installation')
pytest.importorskip('rclpy')

from launch.launch_description_sources import (
    get_launch_description_from_python_launch_file,
)
from nodes.host import Station, until
from rclpy.serialization import serialize_message

from sara_ros.nodes import qos
from sara_ros.nodes.state_codec import encode_objects
from sara_ros.sim.scene import BASE_FRAME, FINGER_JOINT, OBJECTS
from sara_ros_msgs.msg import EndEffectorAction

HERE = Path(__file__).parent
FILES = sorted(HERE.parents[1].glob('launch/*.launch.py'))
pytestmark = pytest.mark.timeout(300)


def launch_test(*arguments):
    """Return a running ``launch_test`` of ``launched.py``."""
    command = [sys.executable, '-m', 'launch_testing.launch_test', str(HERE / 'launched.py')]
    return subprocess.Popen(
        [*command, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def passes(process):
    """Wait for a ``launch_test`` and show what it said unless all is well."""
    said = process.communicate(timeout=280)[0]
    assert process.returncode == 0, said[-8000:]
    assert 'Traceback' not in said, said[-8000:]
    assert not [name for name in node_processes() if f'ROS_DOMAIN_ID={domain_of()}' in name]


def domain_of():
    return os.environ['ROS_DOMAIN_ID']


def node_processes():
    """Return the environments of all processes that this user may look at."""
    for path in Path('/proc').glob('[0-9]*'):
        with suppress(OSError):
            if b'sara_ros' in (path / 'cmdline').read_bytes() and int(path.name) != os.getpid():
                yield (path / 'environ').read_text(errors='replace')


@pytest.mark.parametrize('path', FILES, ids=lambda each: each.name)
def test_every_argument_is_declared_with_a_description(path):
    description = get_launch_description_from_python_launch_file(str(path))
    declared = {each.name: each.description for each in description.get_launch_arguments()}
    assert {'params_file', 'namespace', 'log_level', 'model', 'device'} <= set(declared)
    assert all(text and text != 'no description given' for text in declared.values())


@pytest.mark.slow
@pytest.mark.usefixtures('ros_domain')
@pytest.mark.parametrize(
    'arguments',
    [
        ('file:=simulation.launch.py', 'model:=scripted_expert', 'publishes:=true'),
        ('file:=rt2.launch.py', 'attention_backend:=sara', 'log_level:=debug'),
        ('file:=pct.launch.py', 'namespace:=arm/left', 'model:=pct-tabletop'),
        ('file:=bringup.launch.py', 'autostart:=false'),
    ],
    ids=lambda each: each[0],
)
def test_nodes_come_up_publish_come_back_and_end(arguments):
    passes(launch_test(*arguments))


@pytest.mark.slow
@pytest.mark.usefixtures('ros_domain')
def test_two_stacks_in_their_namespaces():
    same = ('file:=simulation.launch.py', 'model:=scripted_expert', 'publishes:=true')
    both = [launch_test(*same, f'namespace:={side}') for side in ('left', 'right')]
    for process in both:
        said = process.communicate(timeout=280)[0]
        assert process.returncode == 0, said[-8000:]


@pytest.mark.slow
@pytest.mark.usefixtures('ros_domain')
def test_a_bag_that_is_not_there_ends_everything_with_a_message(run_launch):
    done = run_launch('replay.launch.py', 'bag:=/nowhere')
    said = done.communicate(timeout=120)[0]
    assert '/nowhere does not exist' in said
    assert 'was required: shutting down' in said
    assert 'Traceback' not in said


@pytest.mark.slow
@pytest.mark.usefixtures('ros_domain')
def test_an_argument_that_cannot_be_read_starts_nothing(run_launch):
    done = run_launch('simulation.launch.py', 'seed:=many')
    said = done.communicate(timeout=60)[0]
    assert 'launch argument seed:=many: give a whole number' in said
    assert 'process started' not in said
    assert done.returncode == 1


@pytest.mark.slow
def test_a_policy_acts_on_a_replay_and_ctrl_c_ends_it_cleanly(tmp_path, ros_context, run_launch):
    """The commands are the policy's, not those in the bag."""
    bag = write_bag(tmp_path / 'reach', reach_messages(400))
    process = run_launch(
        'replay.launch.py', f'bag:={bag}', 'model:=scripted_expert',
        'instruction:=reach the red block',
    )  # fmt: skip
    with Station(ros_context) as station:
        actions = station.collect(EndEffectorAction, 'policy/action', qos.SENSOR)
        assert any('serving' in line for line in iter(process.stdout.readline, ''))
        until(lambda: sum(not each.hold for each in actions) > 3, 'actions')
    # A terminal tells every process of the launch, and launch counts on it.
    os.killpg(process.pid, signal.SIGINT)
    said = process.communicate(timeout=60)[0]
    assert process.returncode == 0, said
    assert 'Traceback' not in said
    assert said.count('process has finished cleanly') == 3
    assert {each.model_id for each in actions} == {'scripted_expert'}


def reach_messages(count):
    """Return what the scripted expert needs at 20 Hz, and actions of another policy."""
    poses = [(0.4, 0.1 * row - 0.2, 0.02, 0, 0, 0, 1) for row in range(len(OBJECTS))]
    for row in range(count):
        stamp_ns = START_NS + row * 50 * MS
        told = {'stamp_ns': stamp_ns, 'frame_id': BASE_FRAME}
        objects = serialize_message(encode_objects(OBJECTS, poses, **told))
        for topic, kind, message in (
            ('/policy/action', ACTION, MAKER.action(stamp_ns, 0.1)),
            ('/ee_pose', POSE, MAKER.pose(stamp_ns, (0.4, 0.1, 0.3), (1, 0, 0, 0))),
            ('/joint_states', JOINT_STATE, MAKER.joints(stamp_ns, [0.04], [FINGER_JOINT])),
            ('/objects', 'sara_ros_msgs/msg/ObjectStates', objects),
        ):
            yield topic, kind, stamp_ns + 5 * MS, message
