"""The policy node over real topics, with policies of the test's own."""

from array import array
from copy import copy
import os
import threading
import time

from core.fakes import CAMERA, FakePolicy, action, chunk_of, policy_spec
import cv2
import numpy as np
from policies.small_models import make
import pytest

from sara_ros.core import ObservationSpec

rclpy = pytest.importorskip('rclpy')

from action_msgs.msg import GoalStatus  # noqa: E402
from geometry_msgs.msg import PoseStamped, TwistStamped  # noqa: E402
from nodes.cameras import PICTURE, Camera, picture, stamped  # noqa: E402
from nodes.clouds import cloud, records  # noqa: E402
from nodes.host import ACTIVATE, CLEANUP, CONFIGURE, DEACTIVATE, Host, until  # noqa: E402
from nodes.pictures import PNG_BOMB  # noqa: E402
from rosgraph_msgs.msg import Clock  # noqa: E402
from sensor_msgs.msg import CompressedImage, Image, PointCloud2  # noqa: E402
from std_msgs.msg import String  # noqa: E402
from std_srvs.srv import Trigger  # noqa: E402

from sara_ros.nodes import qos  # noqa: E402
from sara_ros.nodes.policy import PolicyNode  # noqa: E402
from sara_ros.nodes.ros_time import to_time  # noqa: E402
from sara_ros.nodes.state_codec import encode_pose  # noqa: E402
from sara_ros_msgs.msg import EndEffectorAction, InferenceTiming  # noqa: E402

POINTS = ObservationSpec('points', 'points', (None, 3), 'm', 'base_link', max_age_sec=0.5)
POSE = ObservationSpec('ee_pose', 'pose', (7,), 'm', 'base_link', max_age_sec=0.5)


@pytest.fixture
def unconfigured(context, station, space):
    """Return a function that makes a policy node, and its client."""
    hosts = []

    def start(**parameters):
        hosts.append(Host(context, PolicyNode, namespace=space, **parameters))
        return hosts[-1], station.policy()

    yield start
    for host in hosts:
        host.__exit__()


def test_lifecycle_again_and_again_leaves_nothing_behind(serve, station):
    """Threads, files, topics and parameters are as before after every round."""
    host, client = serve(FakePolicy())

    def cycle():
        for transition in (DEACTIVATE, CLEANUP, CONFIGURE, ACTIVATE):
            assert station.transition(transition)

    def held():
        node = host.node
        return (
            threading.active_count(), len(list(node.publishers)), len(list(node.subscriptions)),
            len(list(node.timers)), len(node._managed_entities), len(node._parameters),
        )  # fmt: skip

    def files():
        return len(os.listdir('/proc/self/fd'))

    client.wait(lambda status: status.state == 'active')
    cycle()
    first, first_files = held(), files()
    for _ in range(4):
        cycle()
    assert held() == first
    assert files() <= first_files + 2
    with Camera(station.publisher(Image, 'image_raw')):
        assert client.run('go', max_steps=2).termination_reason == 'max_steps'


def test_the_status_tells_the_lifecycle_state(serve, station):
    _, client = serve(FakePolicy())
    for transition, state in (
        (DEACTIVATE, 'inactive'), (CLEANUP, 'unconfigured'), (CONFIGURE, 'inactive'),
    ):  # fmt: skip
        assert station.transition(transition)
        status = client.wait(lambda status, state=state: status.state == state)
        assert (status.model_id == 'fake') == (state == 'inactive')


@pytest.mark.parametrize('transition', [ACTIVATE, DEACTIVATE, CLEANUP, 99])
def test_a_transition_that_is_not_possible_is_refused(unconfigured, station, transition):
    """In rclpy it ends the process."""
    _, client = unconfigured()
    assert not station.transition(transition)
    status = client.wait(lambda status: status.last_error)
    assert 'change_state failed' in status.last_error


def tampered(models):
    make(models, 'rt2')
    with (models / 'tiny' / 'weights.safetensors').open('r+b') as weights:
        weights.seek(-1, os.SEEK_END)
        weights.write(b'\x55')


@pytest.mark.parametrize(
    ('parameters', 'texts'),
    [
        ({'model': 'nosuch'}, ["model 'nosuch' not found in", 'it has: tiny']),
        ({'model': '../tiny'}, ['not a plain folder name']),
        ({'model': 'tiny', 'attention_backend': 'magic'}, ["'magic'", 'softmax']),
        ({'model': 'scripted_expert', 'attention_backend': 'sara'}, ['has no attention']),
        ({'model': 'tiny', 'device': 'banana'}, ['banana']),
        ({'model': 'tiny'}, ['SHA-256', 'the file was changed']),
    ],
)
def test_what_cannot_be_loaded_leaves_the_node_unconfigured(
    unconfigured, station, tmp_path, parameters, texts
):
    """An unknown device once failed without a word: rclpy drops what a transition raises."""
    tampered(tmp_path) if len(parameters) == 1 else make(tmp_path, 'rt2')
    _, client = unconfigured(models_dir=str(tmp_path), **parameters)
    assert not station.transition(CONFIGURE)
    status = client.wait(lambda status: status.last_error)
    assert (status.state, status.model_id) == ('unconfigured', '')
    for text in ('cannot configure', *texts):
        assert text in status.last_error
    assert '\n' not in status.last_error


def test_a_failed_configuration_can_be_put_right(unconfigured, station, tmp_path):
    make(tmp_path, 'rt2')
    host, client = unconfigured(models_dir=str(tmp_path), model='nosuch')
    assert not station.transition(CONFIGURE)
    client.wait(lambda status: status.last_error)
    host.on_executor(lambda: host.node.set_parameters([rclpy.Parameter('model', value='tiny')]))
    assert station.transition(CONFIGURE)
    status = client.wait(lambda status: status.model_id == 'tiny')
    assert (status.kind, status.attention_backend, status.last_error) == ('rt2', 'softmax', '')


@pytest.mark.parametrize(
    ('parameters', 'text'),
    [
        ({'topics.camera': 'bad topic'}, "topics.camera is 'bad topic'"),
        ({'topics.ee_pose': 'image_raw'}, "'image_raw' cannot be of type Image and PoseStamped"),
        ({'static_transforms': ['base cam 1 2 3']}, 'static_transforms'),
    ],
)
def test_an_activation_that_fails_leaves_the_node_inactive(
    context, station, space, monkeypatch, parameters, text
):
    """A topic without a valid name once led back to unconfigured without a word."""
    policy = FakePolicy(spec=policy_spec(CAMERA, POSE))
    monkeypatch.setattr('sara_ros.nodes.policy.load_policy', lambda *_, **__: policy)
    with Host(context, PolicyNode, namespace=space, **parameters) as host:
        client = station.policy()
        assert station.transition(CONFIGURE)
        before = len(list(host.node.subscriptions))
        assert not station.transition(ACTIVATE)
        status = client.wait(lambda status: status.last_error)
        assert status.state == 'inactive'
        assert 'cannot activate' in status.last_error
        assert text in status.last_error
        assert len(list(host.node.subscriptions)) == before
        assert station.transition(CLEANUP)


def test_each_model_has_topics_of_its_own(serve, station, monkeypatch):
    """The topic of an earlier model's need once stayed that of the next one's of the same name."""
    wrist = ObservationSpec('wrist', 'image', (None, None, 3))
    host, _ = serve(FakePolicy(spec=policy_spec(wrist)))
    assert host.node.get_parameter('topics.wrist').value == 'image_raw'
    assert station.transition(DEACTIVATE)
    assert station.transition(CLEANUP)
    assert not host.node.has_parameter('topics.wrist')
    both = FakePolicy(spec=policy_spec(CAMERA, wrist))
    monkeypatch.setattr('sara_ros.nodes.policy.load_policy', lambda *_, **__: both)
    assert station.transition(CONFIGURE)
    assert host.node.get_parameter('topics.wrist').value == 'wrist/image_raw'


def test_a_topic_given_at_the_start_holds_for_every_activation(serve, station):
    host, client = serve(FakePolicy(), **{'topics.camera': 'front/rgb'})
    for transition in (DEACTIVATE, CLEANUP, CONFIGURE, ACTIVATE):
        assert station.transition(transition)
    assert client.wait(lambda status: status.driving_topic).driving_topic == 'front/rgb'


BAD_PICTURES = {
    'encoding': lambda: stamped(picture(encoding='16UC1')),
    'malformed': lambda: stamped(picture(height=0)),
    'zero_stamp': lambda: picture_at_zero(),
    'late': lambda: stamped(picture(), age_sec=2.0),
    'future': lambda: stamped(picture(), age_sec=-2.0),
}


def picture_at_zero():
    message = picture()
    message.header.stamp = to_time(0)
    return message


@pytest.mark.parametrize('profile', [qos.SENSOR, qos.COMMAND], ids=['best_effort', 'reliable'])
def test_bad_pictures_are_counted_and_good_ones_served(serve, station, profile):
    """A publisher of either reliability matches; the run goes on through all of them."""
    _, client = serve(FakePolicy())
    publisher = station.publisher(Image, 'image_raw', profile)
    handle = client.send('go')
    client.wait(lambda status: status.instruction == 'go')
    for make_bad in BAD_PICTURES.values():
        publisher.publish(make_bad())
        publisher.publish(make_bad())
        time.sleep(0.03)
    client.wait(lambda status: sum(client.drops.values()) >= 2 * len(BAD_PICTURES))
    assert client.drops == dict.fromkeys(sorted(BAD_PICTURES), 2)
    assert client.status.commands_published == 0
    with Camera(publisher):
        client.wait(lambda status: status.chunks >= 3)
    assert client.status.observations_received >= 2 * len(BAD_PICTURES) + 3
    station.answer(handle.cancel_goal_async())
    assert client.result(handle)[1].termination_reason == 'canceled'


def test_bad_compressed_pictures_do_not_end_the_node(serve, station):
    """A picture that claims 100000x100000 pixels once ended the process."""
    _, client = serve(FakePolicy(), **{'topics.camera': 'image_raw/compressed'})
    publisher = station.publisher(CompressedImage, 'image_raw/compressed', qos.SENSOR)

    def compressed(data):
        message = CompressedImage(format='png')
        message.data = array('B', data)
        return stamped(message)

    client.send('go')
    client.wait(lambda status: status.instruction == 'go')
    for data in (PNG_BOMB, b'', b'garbage'):
        publisher.publish(compressed(data))
    client.wait(lambda status: client.drops == {'malformed': 3})
    good = cv2.imencode('.png', PICTURE)[1].tobytes()
    with Camera(publisher, lambda: compressed(good)):
        client.wait(lambda status: status.chunks >= 2)


def test_a_decoder_that_fails_does_not_end_the_node(serve, station, monkeypatch):
    """Whatever a message does to a decoder, it is counted and the node keeps serving."""
    _, client = serve(FakePolicy())
    publisher = station.publisher(Image, 'image_raw', qos.SENSOR)
    client.send('go')
    client.wait(lambda status: status.instruction == 'go')
    with monkeypatch.context() as patch, Camera(publisher):
        patch.setattr('sara_ros.nodes.intake.decode', lambda *_: 1 / 0)
        client.wait(lambda status: client.drops.get('undecodable', 0) >= 2)
    with Camera(publisher):
        client.wait(lambda status: status.chunks >= 2)


def test_bad_clouds_are_counted_and_good_ones_served(serve, station):
    """NaN, no points, missing fields, a short buffer, another frame; an unaligned stride works."""
    _, client = serve(FakePolicy(spec=policy_spec(POINTS)))
    publisher = station.publisher(PointCloud2, 'points', qos.SENSOR)
    good = cloud(records(offsets=[1, 6, 11], itemsize=17))
    good.header.frame_id = 'base_link'
    layout = records()
    layout['x'] = np.nan
    bad = [cloud(layout), *(copy(good) for _ in range(4))]
    bad[1].width = 0
    bad[2].fields = good.fields[:2]
    bad[3].data = array('B', bytes(5))
    bad[4].header = copy(good.header)
    bad[4].header.frame_id = 'lidar'
    bad[0].header.frame_id = 'base_link'
    client.send('go')
    client.wait(lambda status: status.instruction == 'go')
    for message in bad:
        publisher.publish(stamped(message))
    client.wait(lambda status: sum(client.drops.values()) == 5)
    assert client.drops == {'frame': 1, 'malformed': 1, 'missing_fields': 1, 'no_points': 2}
    good.header.frame_id = 'base_link'
    with Camera(publisher, lambda: stamped(good)):
        client.wait(lambda status: status.chunks >= 2)


def test_a_cloud_in_another_frame_is_moved(serve, station):
    seen = []

    def look(observation):
        seen.append(observation['points'])
        return chunk_of(observation, action())

    entry = 'base_link lidar 1 0 0 0 0 0 1'
    _, client = serve(FakePolicy(look, spec=policy_spec(POINTS)), static_transforms=[entry])
    publisher = station.publisher(PointCloud2, 'points', qos.SENSOR)
    seen.clear()  # the made-up cloud of the warm-up
    message = cloud(records())
    message.header.frame_id = 'lidar'
    client.send('go')
    client.wait(lambda status: status.instruction == 'go')
    with Camera(publisher, lambda: stamped(message)):
        until(lambda: seen)
    np.testing.assert_allclose(seen[0][:, 0], records()['x'] + 1)


def test_two_needs_of_one_topic_see_the_same_picture(serve, station):
    other = ObservationSpec('other', 'image', (None, None, 3))
    policy = FakePolicy(spec=policy_spec(CAMERA, other))
    host, client = serve(policy, **{'topics.other': 'image_raw'})
    with Camera(station.publisher(Image, 'image_raw', qos.SENSOR)):
        assert client.run('go', max_steps=3).termination_reason == 'max_steps'
    assert client.drops == {}


def test_a_run_that_starves_names_what_is_missing(serve, station):
    _, client = serve(FakePolicy(spec=policy_spec(CAMERA, POSE)), observation_timeout_sec=0.5)
    with Camera(station.publisher(Image, 'image_raw', qos.SENSOR)):
        result = client.run('go')
    assert result.termination_reason == 'no_fresh_observation'
    assert 'missing_ee_pose' in result.message


def test_nothing_is_published_and_decoded_without_a_run(serve, station):
    host, client = serve(FakePolicy())
    actions = station.collect(EndEffectorAction, 'policy/action')
    with Camera(station.publisher(Image, 'image_raw', qos.SENSOR)):
        client.wait(lambda status: status.observations_idle >= 3)
    assert client.status.observations_idle == client.status.observations_received
    assert actions == []


def test_commands_carry_stamps_numbers_and_timing(serve, station):
    _, client = serve(FakePolicy())
    actions = station.collect(EndEffectorAction, 'policy/action')
    twists = station.collect(TwistStamped, 'policy/twist_cmd')
    timings = station.collect(InferenceTiming, 'policy/timing')
    with Camera(station.publisher(Image, 'image_raw', qos.SENSOR)):
        result = client.run('go', max_steps=5)
    until(lambda: len(timings) >= 5)
    assert result.commands == 5
    assert [message.sequence for message in actions] == list(range(len(actions)))
    assert len(twists) == len(actions)
    assert all(abs(time.time() - message.header.stamp.sec) < 60 for message in actions)
    assert {message.sequence for message in timings} <= {message.sequence for message in actions}
    feedback = until(lambda: client.feedback or None)[-1]
    assert feedback.commands >= 0


def test_a_goal_without_an_instruction_is_refused_and_the_run_goes_on(serve, station):
    _, client = serve(FakePolicy())
    with Camera(station.publisher(Image, 'image_raw', qos.SENSOR)):
        running = client.send('first')
        client.wait(lambda status: status.instruction == 'first')
        for goal, text in (
            (client.send('  '), 'the instruction is empty'),
            (client.send('second', timeout_sec=float('nan')), 'timeout_sec is nan'),
        ):
            status, result = client.result(goal)
            assert status == GoalStatus.STATUS_ABORTED
            assert result.termination_reason == result.REFUSED
            assert text in result.message
        before = client.status.commands_published
        status = client.wait(lambda status: status.commands_published > before + 5)
        assert status.instruction == 'first'
        station.answer(running.cancel_goal_async())
        status, result = client.result(running)
    assert (status, result.termination_reason) == (GoalStatus.STATUS_CANCELED, 'canceled')


def test_a_goal_is_refused_while_the_node_is_not_active(unconfigured):
    _, client = unconfigured()
    result = client.run('go')
    assert result.termination_reason == result.REFUSED
    assert 'activate it first' in result.message


def test_a_newer_goal_takes_over(serve, station):
    _, client = serve(FakePolicy())
    with Camera(station.publisher(Image, 'image_raw', qos.SENSOR)):
        first = client.send('first')
        client.wait(lambda status: status.instruction == 'first')
        second = client.run('second', max_steps=3)
        assert client.result(first)[1].termination_reason == 'preempted'
    assert second.termination_reason == 'max_steps'


def test_instructions_by_topic(serve, station):
    """The same one again goes on; an empty one is refused; another one takes over."""
    policy = FakePolicy()
    _, client = serve(policy)
    instructions = station.publisher(String, 'policy/instruction')
    with Camera(station.publisher(Image, 'image_raw', qos.SENSOR)):
        instructions.publish(String(data='first'))
        client.wait(lambda status: status.instruction == 'first')
        resets = policy.resets
        instructions.publish(String(data='first'))
        instructions.publish(String(data=''))
        client.wait(lambda status: 'instruction is empty' in status.last_error)
        assert client.status.instruction == 'first'
        instructions.publish(String(data='second'))
        client.wait(lambda status: status.instruction == 'second')
        until(lambda: policy.instructions[-1] == 'second')
        assert policy.resets == resets + 1
        answer = station.call(Trigger, 'policy/stop')
        assert (answer.success, answer.message) == (True, 'stopped')
        client.wait(lambda status: status.instruction == '')
        assert station.call(Trigger, 'policy/stop').message == 'nothing was running'


@pytest.mark.parametrize('way', ['stop', 'deactivate', 'shutdown'])
def test_a_run_that_is_ended_sends_nothing_more(serve, station, way):
    """A shutdown transition once left the threads serving; the goal was never answered."""
    host, client = serve(FakePolicy())
    actions = station.collect(EndEffectorAction, 'policy/action')
    with Camera(station.publisher(Image, 'image_raw', qos.SENSOR)):
        handle = client.send('go')
        until(lambda: len(actions) > 3)
        if way == 'stop':
            assert station.call(Trigger, 'policy/stop').success
        elif way == 'deactivate':
            assert station.transition(DEACTIVATE)
        else:
            host.on_executor(host.node.trigger_shutdown)
        _, result = client.result(handle)
        time.sleep(0.1)  # what is under way arrives
        sent = len(actions)
        time.sleep(0.3)
        assert len(actions) == sent
    reasons = {'stop': 'canceled', 'deactivate': 'deactivated', 'shutdown': 'shutdown'}
    assert result.termination_reason == reasons[way]


def test_a_model_error_ends_the_run_with_its_cause(serve, station):
    warm = iter(range(3))

    def break_later(observation):
        if next(warm, None) is None:
            raise RuntimeError('weights are upset')
        return chunk_of(observation, action())

    _, client = serve(FakePolicy(break_later))
    with Camera(station.publisher(Image, 'image_raw', qos.SENSOR)):
        result = client.run('go')
    assert result.termination_reason == 'model_error'
    assert 'RuntimeError: weights are upset (test_policy_node.py:' in result.message
    assert 'weights are upset' in client.wait(lambda status: status.last_error).last_error


def test_simulated_time_that_is_set_back_does_not_stop_the_run(serve, station):
    """A bag that starts again sends both /clock and stamps back."""
    host, client = serve(FakePolicy(), use_sim_time=True)
    clock = station.publisher(Clock, '/clock', qos.SENSOR)
    images = station.publisher(Image, 'image_raw', qos.SENSOR)
    now_ns = 100 * 10**9

    def play(steps):
        nonlocal now_ns
        for _ in range(steps):
            now_ns += 50_000_000
            clock.publish(Clock(clock=to_time(now_ns)))
            time.sleep(0.02)
            message = picture()
            message.header.stamp = to_time(now_ns)
            images.publish(message)
            time.sleep(0.03)

    client.send('go')
    client.wait(lambda status: status.instruction == 'go')
    play(10)
    before = client.wait(lambda status: status.chunks >= 3).chunks
    now_ns = 50 * 10**9
    play(12)
    client.wait(lambda status: status.chunks >= before + 5)
    assert client.drops.get('time_jump') == 1


def test_without_a_clock_the_status_says_what_is_wrong(serve, station):
    """The status timer once waited for the very /clock that was missing."""
    _, client = serve(FakePolicy(), use_sim_time=True)
    client.send('go')
    client.wait(lambda status: status.instruction == 'go')
    with Camera(station.publisher(Image, 'image_raw', qos.SENSOR)):
        client.wait(lambda status: client.drops.get('future', 0) >= 2)


def test_a_pose_in_another_frame_is_refused(serve, station):
    _, client = serve(FakePolicy(spec=policy_spec(POSE)))
    publisher = station.publisher(PoseStamped, 'ee_pose', qos.SENSOR)
    pose = np.array([0, 0, 0, 0, 0, 0, 1], np.float32)
    client.send('go')
    client.wait(lambda status: status.instruction == 'go')
    publisher.publish(encode_pose(pose, stamp_ns=time.time_ns(), frame_id='tool'))
    client.wait(lambda status: client.drops == {'frame': 1})
