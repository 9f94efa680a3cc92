"""Recorded actions, and errors that can be worked out by hand."""

from evaluation.replay.bags import (
    ACTION,
    IMAGE,
    JOINT_STATE,
    MAKER,
    MS,
    POSE,
    START_NS,
    TWIST,
    ToyPolicy,
    arm_messages,
    hand_spec,
    joint_spec,
    write_bag,
)
import numpy as np
import pytest

from sara_ros.core import ParameterError
from sara_ros.evaluation.replay.bag import Bag
from sara_ros.evaluation.replay.mapping import ReplayMap
from sara_ros.evaluation.replay.replay import ReplaySettings, replay
from sara_ros.evaluation.replay.scores import scores_of

STILL = [0.0] * 8
NAMES = ('terminate', 'x', 'y', 'z', 'rx', 'ry', 'rz', 'gripper_opening')


def played(path, policy=None, **known):
    """Return what ``policy`` did on the bag at ``path``."""
    return replay(Bag(path), policy or ToyPolicy(), ReplaySettings(ReplayMap.of(known)))


def pictures(count=20):
    """Return a camera at 20 Hz."""
    return [
        ('/image_raw', IMAGE, START_NS + row * 50 * MS, MAKER.image(START_NS + row * 50 * MS))
        for row in range(count)
    ]


def labels(tmp_path, rows, *actions, policy=None, **known):
    """Return the recorded actions at the pictures of a bag with ``rows``."""
    path = write_bag(tmp_path / 'bag', sorted(pictures() + rows, key=lambda row: row[2]))
    policy = policy or ToyPolicy(hand_spec(), lambda seen: [STILL])
    replayed = played(path, policy, actions=list(actions), instruction='go', **known)
    times_ns = [START_NS + row * 50 * MS for row in range(20)]
    return replayed, replayed.recorded.at(times_ns)


def test_errors_and_baselines_of_an_arm_whose_actions_lead_by_a_twentieth(arm_bag):
    """States grow by 0.1 a step, recorded actions are 0.05 ahead and the policy is 0.1 ahead."""
    error = scores_of(played(arm_bag), 20.0)['error']
    assert error['compared'] == 20
    means = error['mean_absolute']
    assert means['policy'] == pytest.approx(0.05, abs=1e-6)
    shoulder, elbow = error['dimensions']
    assert shoulder['policy'] == pytest.approx(0.05, abs=1e-6)
    assert elbow['policy'] == pytest.approx(0.05, abs=1e-6)
    assert means['copy_state'] == pytest.approx(0.05, abs=1e-6)
    assert means['copy_previous_action'] == pytest.approx(0.1, abs=1e-6)
    assert means['training_mean'] == pytest.approx(0.5, abs=1e-6)
    assert error['share_of_range']['policy'] == pytest.approx(0.005, abs=1e-7)
    assert shoulder['root_mean_square'] == pytest.approx(0.05, abs=1e-6)


def test_the_training_mean_says_where_it_comes_from(arm_bag):
    replayed = played(arm_bag)
    assert scores_of(replayed, 20.0)['training_mean_from'] == 'this recording itself'
    given = scores_of(replayed, 20.0, ('the map', np.array([0.05, 0.05])))
    assert given['training_mean_from'] == 'the map'
    assert given['error']['dimensions'][0]['training_mean'] == pytest.approx(0.95, abs=1e-6)


def test_the_steps_of_a_chunk_are_compared_with_their_own_instants(tmp_path):
    """With one observation in five, the later steps must meet the later recorded actions."""
    rows = [row for row in arm_messages(20) if row[0] != '/image_raw']
    rows += [row for row in arm_messages(20) if row[0] == '/image_raw'][::5]
    spec = joint_spec(horizon=5)
    ahead = np.outer(np.arange(5), (0.1, -0.1)) + 0.05
    policy = ToyPolicy(spec, lambda seen: seen['arm'] + ahead)
    path = write_bag(tmp_path / 'slow', sorted(rows, key=lambda row: row[2]))
    replayed = played(path, policy)
    error = scores_of(replayed, 20.0)['error']
    assert error['compared'] >= 19
    assert error['mean_absolute']['policy'] == pytest.approx(0, abs=1e-6)
    assert replayed.trace.in_run_holds == 0


def test_holds_are_not_compared(arm_bag):
    settings = ReplaySettings(latency_ms=120.0)
    replayed = replay(Bag(arm_bag), ToyPolicy(), settings)
    scores = scores_of(replayed, 20.0)
    assert scores['holds'] > 5
    assert scores['error']['compared'] == scores['commands']
    assert scores['observation_age_ms']['p50'] > 120


def test_smoothness_is_told_beside_the_recorded(arm_bag):
    smooth = scores_of(played(arm_bag), 20.0)['smoothness']
    assert smooth['policy']['change'] == pytest.approx(0.01, abs=1e-6)
    assert smooth['recorded']['change'] == pytest.approx(0.01, abs=1e-6)
    assert smooth['policy']['change_of_change'] == pytest.approx(0, abs=1e-6)
    jumpy = ToyPolicy(answer=lambda seen: [[1.0 if seen['front'].max() % 2 else -1.0, 0.0]])
    smooth = scores_of(played(arm_bag, jumpy), 20.0)['smoothness']
    assert smooth['policy']['change'] == pytest.approx(0.1, abs=1e-6)


def test_only_what_was_measured_differs_between_two_runs(arm_bag):
    def told():
        scores = scores_of(played(arm_bag), 20.0)
        measured = scores.pop('measured')
        assert measured['stages_ms']['compute']['count'] == 20
        return scores

    assert told() == told()


def test_deadlines_are_counted_at_the_stated_rate(arm_bag):
    replayed = played(arm_bag)
    replayed.trace.measured_ms['compute'][:] = type(replayed.trace.measured_ms['compute'])(
        'd', [5.0, 15.0, 25.0, 35.0]
    )
    assert scores_of(replayed, 50.0)['measured']['deadline']['misses'] == 2
    assert scores_of(replayed, 1000.0)['measured']['deadline']['share'] == 1.0


def test_without_recorded_actions_there_is_no_error(tmp_path):
    rows = [row for row in arm_messages(5) if row[0] != '/action']
    scores = scores_of(played(write_bag(tmp_path / 'none', rows)), 20.0)
    assert scores['error']['compared'] == 0
    assert scores['error']['mean_absolute']['policy'] is None
    assert scores['commands'] == 5


def test_twists_are_velocities(tmp_path):
    rows = [
        ('/cmd', TWIST, START_NS + row * 50 * MS,
         MAKER.twist(START_NS + row * 50 * MS, (0.4, 0, -0.2), (0, 0, 1)))
        for row in range(20)
    ]  # fmt: skip
    _, found = labels(tmp_path, rows, {'topic': '/cmd'})
    np.testing.assert_allclose(found[3, 1:7], [0.02, 0, -0.01, 0, 0, 0.05], atol=1e-7)
    assert np.isnan(found[:, [0, 7]]).all()


def test_poses_become_displacements_of_one_period_in_their_own_frame(tmp_path):
    """The hand circles about z while it advances along x; poses come at 100 Hz, not at 20."""
    rows = []
    for row in range(120):
        stamp_ns, angle = START_NS + row * 10 * MS, 0.02 * row
        turn = (0, 0, np.sin(angle / 2), np.cos(angle / 2))
        rows.append(('/hand', POSE, stamp_ns, MAKER.pose(stamp_ns, (0.001 * row, 1, 2), turn)))
    _, found = labels(tmp_path, rows, {'topic': '/hand'})
    np.testing.assert_allclose(found[:, 1:7], [[0.005, 0, 0, 0, 0, 0.1]] * 20, atol=1e-6)


def test_poses_across_a_gap_say_nothing(tmp_path):
    rows = [
        ('/hand', POSE, stamp_ns, MAKER.pose(stamp_ns, (0.0, 0, 0)))
        for stamp_ns in (START_NS, START_NS + 50 * MS, START_NS + 900 * MS)
    ]
    _, found = labels(tmp_path, rows, {'topic': '/hand'})
    assert not np.isnan(found[0, 1])
    assert np.isnan(found[5:12, 1]).all()


def test_joints_are_scaled_named_and_chosen_by_field(tmp_path):
    rows = []
    for row in range(20):
        stamp_ns = START_NS + row * 50 * MS
        message = MAKER.joints(stamp_ns, (9.0, 0.01 * row), ('other', 'finger'))
        message.effort = np.array([1.0, 2.0])
        rows.append(('/grip', JOINT_STATE, stamp_ns, message))
    entry = {
        'topic': '/grip',
        'dimensions': {'gripper_opening': 'finger'},
        'scale': 2,
        'offset': 1,
    }
    _, found = labels(tmp_path, rows, entry)
    np.testing.assert_allclose(found[:, 7], 1 + 0.02 * np.arange(20), atol=1e-6)
    assert np.isnan(found[:, 1]).all()


def test_several_topics_fill_one_action(tmp_path):
    rows = []
    for row in range(20):
        stamp_ns = START_NS + row * 50 * MS
        rows.append(('/cmd', TWIST, stamp_ns, MAKER.twist(stamp_ns, (1, 0, 0))))
        rows.append(('/grip', JOINT_STATE, stamp_ns, MAKER.joints(stamp_ns, (0.5,), ('finger',))))
    _, found = labels(
        tmp_path, rows, {'topic': '/cmd'},
        {'topic': '/grip', 'dimensions': {'gripper_opening': 'finger'}},
    )  # fmt: skip
    np.testing.assert_allclose(found[0, [1, 7]], [0.05, 0.5], atol=1e-7)


def test_our_own_actions_belong_to_the_observation_they_name(tmp_path):
    """They were published 80 ms later; a hold was nobody's choice."""
    rows = []
    for row in range(20):
        seen_ns = START_NS + row * 50 * MS
        made = MAKER.action(seen_ns + 80 * MS, 0.001 * row, observed_ns=seen_ns, hold=row == 7)
        rows.append(('/policy/action', ACTION, seen_ns + 80 * MS, made))
    replayed, found = labels(tmp_path, rows, tolerance_sec=0.001)
    np.testing.assert_allclose(np.delete(found[:, 1], 7), np.delete(0.001 * np.arange(20), 7))
    assert np.isnan(found[7]).all()
    assert [each.reason for each in replayed.trace.problems] == ['hold']


@pytest.mark.parametrize(
    ('align', 'expected'), [('previous', 1.0), ('next', 2.0), ('nearest', 2.0)]
)
def test_an_instant_between_two_actions(tmp_path, align, expected):
    rows = [
        ('/cmd', TWIST, START_NS + at_ms * MS, MAKER.twist(START_NS + at_ms * MS, (value, 0, 0)))
        for at_ms, value in ((20, 20.0), (60, 40.0))
    ]
    _, found = labels(tmp_path, rows, {'topic': '/cmd'}, align=align, tolerance_sec=0.05)
    assert found[1, 1] == pytest.approx(expected)
    assert np.isnan(found[10, 1])


def test_an_action_that_is_not_a_number_is_counted_and_left_out(arm_bag, tmp_path):
    rows = arm_messages(6)
    rows[4] = (*rows[4][:3], MAKER.joints(START_NS + 50 * MS, (np.nan, 0)))
    rows[7] = (*rows[7][:3], MAKER.joints(START_NS + 100 * MS, (), ()))
    path = write_bag(tmp_path / 'nan', rows)
    replayed = played(path, tolerance_sec=0.01)
    assert {each.reason for each in replayed.trace.problems} == {'not_finite', 'missing_joint'}
    assert scores_of(replayed, 20.0)['error']['compared'] == 4


def test_an_end_effector_that_copies_its_state_keeps_still(tmp_path):
    rows = [
        ('/policy/action', ACTION, stamp_ns, MAKER.action(stamp_ns, 0.02, gripper=0.25))
        for stamp_ns in (START_NS + row * 50 * MS for row in range(20))
    ]
    replayed, _ = labels(tmp_path, rows)
    by_name = {each['name']: each for each in scores_of(replayed, 20.0)['error']['dimensions']}
    assert by_name['x']['copy_state'] == pytest.approx(0.02)
    assert by_name['gripper_opening']['copy_state'] == pytest.approx(0)
    assert by_name['x']['copy_previous_action'] == pytest.approx(0)
    assert by_name['x']['policy'] == pytest.approx(0.02)


@pytest.mark.parametrize(
    ('text', 'problem'),
    [
        ('topics: 3', 'topics: expected an object'),
        ('speed: 3', "unknown key 'speed'; known: instruction,"),
        ('actions: [{form: twist}]', "actions[0]: 'topic' is missing"),
        ('actions: [{topic: a, form: dance}]', "actions.form is 'dance'; known: end_effector"),
        ('actions: [{topic: a, scle: 2}]', "actions[0]: unknown key 'scle'"),
        ('align: sometimes', "align is 'sometimes'; known: nearest"),
        ('clock: wall', "clock is 'wall'"),
        ('tolerance_sec: -1', 'tolerance_sec is -1'),
        ('tolerance_sec: .inf', 'tolerance_sec is inf; give 0 to 3600 seconds'),
        ('tolerance_sec: 1.0e+300', 'tolerance_sec is 1e+300'),
        ('actions: [{topic: a, scale: .nan}]', "scale of 'a' is nan; give a finite number"),
        ('actions: [{topic: a, offset: .inf}]', "offset of 'a' is inf"),
        ('actions: [{topic: a, scale: 0}]', "scale of 'a' is 0, which leaves nothing of it"),
        ('training_mean: {x: .nan}', 'training_mean.x is nan'),
        ('clock: log\nclock: header', "the key 'clock' stands there twice"),
        ('topics: {front: /a, front: /b}', "the key 'front' stands there twice"),
        ('\ta: 1', 'cannot read the map'),
        ('[' * 500, 'cannot read the map'),
        ('[1, 2]', 'expected an object, found list'),
        ('a: [', 'cannot read the map'),
    ],
)
def test_a_map_that_cannot_be_used_says_why(tmp_path, text, problem):
    path = tmp_path / 'replay.yaml'
    path.write_text(text)
    with pytest.raises(ParameterError) as caught:
        ReplayMap.read(path)
    assert problem in str(caught.value)
    assert '\n' not in str(caught.value)


def test_a_map_reads_what_the_documentation_shows(tmp_path):
    path = tmp_path / 'replay.yaml'
    path.write_text(
        'instruction: pick up the bottle\n'
        'topics: {front: /camera/image_raw}\n'
        "static_transforms: ['base cam 0 0 0 0 0 0 1']\n"
        'actions:\n'
        '  - {topic: /cmd, form: twist}\n'
        '  - {topic: /grip, dimensions: {gripper_opening: finger}, scale: 25.0}\n'
        'align: next\n'
        'training_mean: {x: 0.01}\n'
    )
    known = ReplayMap.read(path).with_topics(['wrist=/w'])
    assert known.topics == {'front': '/camera/image_raw', 'wrist': '/w'}
    assert known.actions[1].dimensions == {'gripper_opening': 'finger'}
    assert known.actions[1].scale == 25.0
    with pytest.raises(ParameterError, match="--topic 'wrist' does not read NAME=TOPIC"):
        known.with_topics(['wrist'])
