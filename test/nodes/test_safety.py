"""Limits, stop actions and dry runs of the policy node over real topics."""

from dataclasses import replace
from itertools import cycle
import time

from core.fakes import FakePolicy, action, chunk_of, policy_spec
import numpy as np
import pytest

rclpy = pytest.importorskip('rclpy')

from geometry_msgs.msg import PoseStamped, TwistStamped  # noqa: E402
from nodes.cameras import Camera  # noqa: E402
from nodes.host import ACTIVATE, CONFIGURE, DEACTIVATE, Host, until  # noqa: E402
from sensor_msgs.msg import Image  # noqa: E402
from std_srvs.srv import Trigger  # noqa: E402

from sara_ros.nodes import qos  # noqa: E402
from sara_ros.nodes.policy import PolicyNode  # noqa: E402
from sara_ros.nodes.state_codec import encode_pose  # noqa: E402
from sara_ros_msgs.msg import EndEffectorAction  # noqa: E402

BOX = '0.0 0.0 0.0 1.0 1.0 1.0'
STEP_M = 0.05


def clips(status):
    """Return the limited values by reason."""
    return dict(zip(status.clip_reasons, status.clip_counts, strict=True))


def camera(station):
    return Camera(station.publisher(Image, 'image_raw', qos.SENSOR))


def ahead(observation):
    return chunk_of(observation, action(STEP_M))


def test_every_clip_is_published_by_reason(serve, station):
    turns = cycle([action(9.0), action(-0.1)])
    policy = FakePolicy(lambda observation: chunk_of(observation, next(turns)))
    _, client = serve(policy, max_step_change=0.25, action_limits=['x -0.08 0.08'])
    actions = station.collect(EndEffectorAction, 'policy/action')
    with camera(station):
        client.run('go', max_steps=6)
    moves = [each.delta.linear.x for each in actions if not each.hold]
    np.testing.assert_allclose(np.abs(moves), [0.05] * 6, atol=1e-6)  # holds lie between
    status = client.wait(lambda status: sum(clips(status).values()) >= 12)
    assert clips(status) == {'range': 6, 'step_change': 6}
    assert status.clipped_values == 6


def test_limits_that_cannot_hold_keep_the_node_inactive(context, station, space, monkeypatch):
    monkeypatch.setattr('sara_ros.nodes.policy.load_policy', lambda *_, **__: FakePolicy())
    with Host(context, PolicyNode, namespace=space, workspace='0 0 0 1 1') as host:
        client = station.policy()
        assert station.transition(CONFIGURE)
        for name, bad, text in (
            ('workspace', '0 0 0 1 1', '6 finite numbers'),
            ('action_limits', ['w 0 1'], "no dimension 'w'"),
            ('stop_action', 'coast', "stop_action is 'coast'"),
            ('ee_pose_topic', 'bad topic', "ee_pose_topic is 'bad topic'"),
        ):
            good = {'workspace': BOX, 'action_limits': [''], 'stop_action': 'hold'}
            values = [
                rclpy.Parameter(key, value=each) for key, each in {**good, name: bad}.items()
            ]
            host.on_executor(lambda values=values: host.node.set_parameters(values))
            assert not station.transition(ACTIVATE)
            client.wait(lambda status, text=text: text in status.last_error)
            assert client.status.state == 'inactive'


def test_a_dry_run_moves_nothing(serve, station):
    """Whoever listens to the commands hears nothing, and the status says why."""
    host, client = serve(FakePolicy(ahead), dry_run=True)
    dry = station.collect(EndEffectorAction, 'policy/dry_run/action')
    twists = station.collect(TwistStamped, 'policy/dry_run/twist_cmd')
    moving = [
        station.collect(EndEffectorAction, 'policy/action'),
        station.collect(TwistStamped, 'policy/twist_cmd'),
    ]
    with camera(station):
        assert client.run('go', max_steps=4).termination_reason == 'max_steps'
    until(lambda: len(dry) >= 5 and len(twists) >= 5)
    assert moving == [[], []]
    assert client.status.dry_run
    assert client.wait(lambda status: status.commands_published >= 5)
    topics = {publisher.topic_name for publisher in host.node.publishers}
    assert f'{station.namespace}/policy/action' not in topics


def test_an_instruction_the_model_does_not_know_is_refused_where_asked(serve, station):
    """It once ran without a word: an untrained wording moves the arm somewhere."""
    policy = FakePolicy(ahead, spec=replace(policy_spec(), instructions=('lift the block',)))
    host, client = serve(policy, known_instructions_only=True)
    with camera(station):
        refused = client.run('raise the block')
        assert refused.termination_reason == refused.REFUSED
        assert "not trained on the instruction 'raise the block'" in refused.message
        assert client.run('Lift the block.', max_steps=2).termination_reason == 'max_steps'
        loose = rclpy.Parameter('known_instructions_only', value=False)
        host.on_executor(lambda: host.node.set_parameters([loose]))
        assert client.run('raise the block', max_steps=2).termination_reason == 'max_steps'


class Robot:
    """Obeys commands and reports where its end effector is, at once."""

    def __init__(self, station, position_m, frame='base_link'):
        self.position_m = np.array(position_m, float)
        self._frame = frame
        self._commands = station.collect(EndEffectorAction, 'policy/action')
        self._obeyed = 0

    def pose(self):
        for message in self._commands[self._obeyed :]:
            self._obeyed += 1
            delta = message.delta.linear
            self.position_m += (delta.x, delta.y, delta.z)
        pose = np.array([*self.position_m, 0, 0, 0, 1], np.float32)
        return encode_pose(pose, stamp_ns=time.time_ns(), frame_id=self._frame)


def test_the_arm_stays_in_its_workspace(serve, station):
    _, client = serve(FakePolicy(ahead), workspace=BOX)
    robot = Robot(station, [0.7, 0.5, 0.5])
    poses = station.publisher(PoseStamped, 'ee_pose', qos.SENSOR)
    with Camera(poses, robot.pose), camera(station):
        client.run('go', max_steps=20)
    assert 0.9 < robot.position_m[0] <= 1.0
    assert clips(client.wait(lambda status: status.clip_counts))['workspace'] >= 5


@pytest.mark.parametrize('frame', ['', 'tool'])
def test_without_a_pose_in_its_frame_a_workspace_lets_nothing_move(serve, station, frame):
    """No pose at all, or poses in another frame: nothing moves, and the run says why."""
    _, client = serve(FakePolicy(ahead), workspace=BOX, startup_timeout_sec=0.5,
                      observation_timeout_sec=0.5)  # fmt: skip
    robot = Robot(station, [0.5, 0.5, 0.5], frame)
    poses = station.publisher(PoseStamped, 'ee_pose', qos.SENSOR)
    with camera(station):
        if frame:
            with Camera(poses, robot.pose):
                result = client.run('go')
        else:
            result = client.run('go')
    assert result.termination_reason == 'no_fresh_observation'
    assert 'no end-effector pose' in result.message
    assert result.commands == 0
    assert (client.drops.get('ee_pose_frame', 0) > 0) == bool(frame)


@pytest.mark.parametrize('way', ['stop', 'deactivate'])
def test_holding_goes_on_after_a_stop_but_not_after_a_deactivation(serve, station, way):
    _, client = serve(FakePolicy(ahead), stop_action='hold')
    actions = station.collect(EndEffectorAction, 'policy/action')
    with camera(station):
        client.send('go')
        until(lambda: len(actions) > 3)
        if way == 'stop':
            assert station.call(Trigger, 'policy/stop').success
        else:
            assert station.transition(DEACTIVATE)
        time.sleep(0.1)
        ended = len(actions)
        time.sleep(0.3)
        assert (len(actions) > ended + 2) == (way == 'stop')
    assert actions[-1].hold
    assert not actions[-1].delta.linear.x


def test_the_status_tells_how_the_latest_run_ended(serve, station):
    _, client = serve(FakePolicy(ahead))
    assert client.status.last_termination_reason == ''
    with camera(station):
        client.run('go', max_steps=1)
    client.wait(lambda status: status.last_termination_reason == 'max_steps')


def test_two_policies_in_namespaces_of_their_own_do_not_disturb_each_other(
    context, station, space, monkeypatch
):
    """One is stopped, deactivated and ended while the other goes on without a lost period."""
    monkeypatch.setattr('sara_ros.nodes.policy.load_policy', lambda *_, **__: FakePolicy(ahead))
    sides = []
    for side in ('left', 'right'):
        station.namespace = f'{space}/{side}'
        host = Host(context, PolicyNode, namespace=station.namespace)
        client = station.policy()
        assert station.transition(CONFIGURE)
        assert station.transition(ACTIVATE)
        actions = station.collect(EndEffectorAction, 'policy/action')
        sides.append((host, client, actions, camera(station)))
    (left, one, left_actions, left_camera), (right, two, right_actions, right_camera) = sides
    with right, right_camera:
        with left, left_camera:
            one.send('left')
            two.send('right')
            until(lambda: len(left_actions) > 5 and len(right_actions) > 5)
            station.namespace = f'{space}/left'
            assert station.call(Trigger, 'policy/stop').success
            one.wait(lambda status: status.last_termination_reason == 'canceled')
            assert station.transition(DEACTIVATE)
        assert two.status.instruction == 'right'
        seen = len(right_actions)
        until(lambda: len(right_actions) > seen + 5)
        right.on_executor(right.node.halt)
    sequences = [each.sequence for each in right_actions]
    assert sequences == list(range(len(sequences)))
    moves = [each for each in right_actions[1:-1] if not each.hold]
    assert len(moves) > 3
    assert {each.model_id for each in moves} == {'fake'}
