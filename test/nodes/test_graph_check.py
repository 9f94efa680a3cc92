"""``sara-ros doctor`` in a graph: topics that are good, missing, wrong or late."""

from contextlib import ExitStack
import time

from core.fakes import FakePolicy, policy_spec
import pytest

pytest.importorskip('rclpy')

from nodes.cameras import Camera, picture, stamped
from nodes.host import Host, until
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CompressedImage, Image, JointState
from std_msgs.msg import String

from sara_ros.core import ObservationSpec, ParameterError
from sara_ros.core.health import Level
from sara_ros.core.resources import package_folder
from sara_ros.nodes import qos
from sara_ros.nodes.graph_check import check_graph, output_topics
from sara_ros.nodes.ros_time import to_time
from sara_ros.nodes.simulator import SimulatorNode
from sara_ros.policies.checkpoint import read
from sara_ros_msgs.msg import EndEffectorAction


def camera(name):
    return ObservationSpec(name, 'image', (None, None, 3), 'rgb8', max_age_sec=0.5)


def arm(name, *joints):
    return ObservationSpec(name, 'joint_positions', (2,), 'rad', max_age_sec=0.5, names=joints)


SPEC = policy_spec(camera('camera'), horizon=5)
MANY = policy_spec(
    *map(camera, ('slow', 'good', 'compressed', 'silent', 'late', 'early', 'unstamped', 'odd')),
    *(camera(name) for name in ('missing', 'named')),
    arm('arm', 'a', 'b'),
)


def joints(*names):
    return stamped(JointState(name=list(names), position=[0.0] * len(names)))


def robot_in(context, namespace):
    return Host(context, lambda **kwargs: Node('robot', **kwargs), namespace=namespace)


@pytest.fixture
def robot(context, space):
    """Give a node in the test's namespace."""
    with robot_in(context, space) as host:
        yield host.node


@pytest.fixture
def check(space, domain):
    """Return a function that checks the test's namespace and returns results by name."""

    def run(spec=SPEC, seconds=0.5, **options):
        results = check_graph(spec, seconds=seconds, namespace=space, domain_id=domain, **options)
        return {each.check.replace(space, ''): each for each in results}

    return run


@pytest.fixture(scope='module')
def many(context, domain):
    """Return what is found of topics that each have another fault, in one visit."""
    makes = {
        'image_raw': None,
        'good/image_raw': None,
        'late/image_raw': lambda: stamped(picture(), 30.0),
        'early/image_raw': lambda: stamped(picture(), -30.0),
        'unstamped/image_raw': Image,
        'odd/image_raw': lambda: stamped(picture(encoding='none_such')),
        'other': None,
    }
    with robot_in(context, '/many') as host, ExitStack() as stack:
        node = host.node
        for topic, make in makes.items():
            stack.enter_context(Camera(node.create_publisher(Image, topic, qos.SENSOR), make))
        node.create_publisher(Image, 'silent/image_raw', qos.SENSOR)
        node.create_publisher(CompressedImage, 'compressed/image_raw', qos.SENSOR)
        arm_states = node.create_publisher(JointState, 'joint_states', qos.SENSOR)
        stack.enter_context(Camera(arm_states, lambda: joints('a', 'c')))
        results = check_graph(
            MANY, seconds=1.0, namespace='many', topics={'named': 'other'}, domain_id=domain
        )
    return {each.check.replace('/many/', ''): each for each in results}


def test_a_good_topic(many):
    found = many['topic good/image_raw']
    assert found.level == Level.OK
    rate, age, frame = found.seen.split(', ')
    assert 10 < float(rate.split()[0]) < 25
    assert abs(float(age.split()[1])) < 500
    assert frame == "frame 'cam'"
    assert many['nodes'].level == Level.OK
    assert '/many/robot' in many['nodes'].seen


def test_a_topic_named_by_option(many):
    assert many['topic other'].level == Level.OK
    assert 'topic named/image_raw' not in many


def test_a_missing_topic_names_others_of_its_type(many):
    found = many['topic missing/image_raw']
    assert found.level == Level.ERROR
    assert found.seen == 'nobody publishes it'
    assert '/many/good/image_raw' in found.advice
    assert 'topics.missing' in found.advice


def test_a_wrong_type(many):
    found = many['topic compressed/image_raw']
    assert found.level == Level.ERROR
    assert '/many/robot publishes sensor_msgs/msg/CompressedImage' in found.seen
    assert 'topics.compressed' in found.advice


def test_a_publisher_that_says_nothing(many):
    found = many['topic silent/image_raw']
    assert found.level == Level.ERROR
    assert 'nothing arrived' in found.seen


@pytest.mark.parametrize(
    ('name', 'seen', 'advice'),
    [
        ('late', 'message is 30.', 'use_sim_time'),
        ('early', 'ahead', 'same time'),
        ('unstamped', 'no stamp', 'header.stamp'),
        ('odd', 'none_such', ''),
    ],
)
def test_messages_that_cannot_be_used(many, name, seen, advice):
    found = many[f'topic {name}/image_raw']
    assert found.level == Level.ERROR
    assert seen in found.seen + found.advice
    assert found.advice
    assert advice in found.advice


def test_a_joint_that_is_not_there(many):
    found = many['topic joint_states']
    assert found.level == Level.ERROR
    assert 'lack b' in found.seen
    assert 'topics.arm' in found.advice


def test_a_driver_slower_than_the_commands(many):
    found = many['topic image_raw']
    assert found.level == Level.WARN
    assert 'too slow for slow, which needs 50.0 Hz' in found.seen


def test_nobody_obeys(many):
    assert many['commands'].level == Level.WARN
    assert 'policy/action' in many['commands'].seen


def test_the_simulator_serves_the_shipped_model(check, context, space):
    spec = read(package_folder('models'), 'rt2-tabletop').checkpoint.spec
    small = {'front_width_px': 64, 'front_height_px': 48, 'wrist_size_px': 64}
    with Host(context, SimulatorNode, namespace=space, camera_rate_hz=20.0, **small):
        found = check(spec, seconds=1.0)
    names = {'/image_raw', '/wrist/image_raw', '/ee_pose', '/joint_states', '/policy/action'}
    assert {f'topic {name}' for name in names} <= found.keys()
    assert all(each.level != Level.ERROR for each in found.values()), found
    assert found['topic /policy/action'].level == Level.OK


def test_stamps_of_a_simulated_clock(check, robot):
    def now():
        return to_time(time.time_ns() - 10**18)

    def simulated():
        message = picture()
        message.header.stamp = now()
        return message

    with ExitStack() as stack:
        clock = robot.create_publisher(Clock, '/clock', qos.SENSOR)
        stack.enter_context(Camera(clock, lambda: Clock(clock=now())))
        images = robot.create_publisher(Image, 'image_raw', qos.SENSOR)
        stack.enter_context(Camera(images, simulated))
        found = check()['topic /image_raw']
    robot.destroy_publisher(clock)
    assert found.level == Level.ERROR
    assert found.advice == 'start the policy with use_sim_time:=true'


def test_qos_and_types_that_do_not_fit(robot, space, domain):
    best_effort = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
    impatient = QoSProfile(depth=1, deadline=Duration(seconds=1))
    robot.create_publisher(String, 'policy/instruction', best_effort)
    robot.create_subscription(EndEffectorAction, 'policy/action', print, qos.LATCHED)
    robot.create_subscription(EndEffectorAction, 'policy/action', print, impatient)
    robot.create_subscription(String, 'policy/twist_cmd', print, qos.COMMAND)
    results = check_graph(SPEC, seconds=0.2, namespace=space, domain_id=domain)
    found = [each for each in results if '/policy/' in each.check]
    assert {each.level for each in found} == {Level.ERROR}
    instruction, latched, impatient, twist = found
    if 'deadline' in latched.seen:
        latched, impatient = impatient, latched
    assert 'Best effort publisher' in instruction.seen
    assert f'let {space}/robot publish' in instruction.advice
    assert 'transient local subscription' in latched.seen
    assert f'let {space}/robot subscribe to {space}/policy/action reliable' in latched.advice
    assert 'deadline' in impatient.seen
    assert 'without deadline' in impatient.advice
    assert f'{space}/robot subscribes to std_msgs/msg/String' in twist.seen


def test_a_running_policy_says_what_it_reads(check, serve, robot):
    options = {'use_sim_time': True, 'dry_run': True, 'topics.camera': 'eye'}
    options |= {'workspace': '0 0 0 1 1 1', 'ee_pose_topic': 'hand'}
    serve(FakePolicy(spec=SPEC), model='fake', **options)
    with Camera(robot.create_publisher(Image, 'eye', qos.SENSOR)):
        found = check()
    assert found['node /policy'].level == Level.ERROR
    assert 'nobody publishes /clock' in found['node /policy'].seen
    assert found['topic /eye'].level == Level.OK
    assert 'dry run' in found['commands'].seen
    assert found['topic /hand'].seen == 'nobody publishes it'


def test_a_policy_publishes_the_outputs_that_are_checked(serve, station, space):
    serve(FakePolicy(spec=SPEC))
    for name, kind in output_topics(SPEC).items():
        topic = f'{space}/{name}'
        (info,) = until(lambda topic=topic: station.node.get_publishers_info_by_topic(topic))
        assert info.topic_type == f'{kind.__module__.split(".")[0]}/msg/{kind.__name__}'


def test_nobody_is_there(check, monkeypatch, domain):
    monkeypatch.setattr('sara_ros.nodes.graph_check.domains_in_use', lambda: {domain, 300})
    monkeypatch.setattr('sara_ros.nodes.graph_check.DISCOVERY_SEC', 0.1)
    monkeypatch.setattr('sara_ros.nodes.graph_check._Visit._others', lambda _: set())
    found = check(seconds=0.1)['nodes']
    assert found.level == Level.ERROR
    assert 'ROS_DOMAIN_ID=300' in found.advice


def test_requests_that_cannot_be(domain):
    for options in ({'seconds': 0.0}, {'topics': {'x': 'y'}}, {'namespace': 'bad name'}):
        with pytest.raises(ParameterError):
            check_graph(SPEC, domain_id=domain, **options)
