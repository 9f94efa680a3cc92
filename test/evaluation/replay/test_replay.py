"""The live code path in bag time."""

import os
from pathlib import Path
import subprocess
import sys

from evaluation.replay.bags import (
    ARM,
    CAMERA,
    CLOUD,
    IMAGE,
    JOINT_STATE,
    MAKER,
    MS,
    POINTS,
    START_NS,
    STATUS,
    STRING,
    ToyPolicy,
    arm_messages,
    hand_spec,
    joint_spec,
    write_bag,
)
from evaluation.replay.test_bag import BAGS, needs_bags
from mcap.writer import Writer as McapWriter
import numpy as np
import pytest
from rosbags.rosbag2 import StoragePlugin, Writer

from sara_ros.core import ActionDimension, ActionSpec, ObservationSpec, ParameterError, PolicySpec
from sara_ros.evaluation.replay.bag import Bag
from sara_ros.evaluation.replay.mapping import ReplayMap
from sara_ros.evaluation.replay.message_types import ros2_types
from sara_ros.evaluation.replay.messages import BagError
from sara_ros.evaluation.replay.page_data import page_data
from sara_ros.evaluation.replay.replay import ReplaySettings, replay
from sara_ros.evaluation.replay.scores import scores_of

SEC = 10**9


def played(path, policy=None, *, latency_ms=0.0, watch=lambda done, total: None, **known):
    """Return what ``policy`` did on the bag at ``path``."""
    settings = ReplaySettings(ReplayMap.of(known), latency_ms)
    return replay(Bag(path), policy or ToyPolicy(), settings, watch)


def problems(replayed):
    """Return the problems as a page shows them."""
    return [each.text(replayed.source.name) for each in replayed.trace.problems]


def test_every_observation_becomes_the_command_of_its_period(arm_bag):
    policy = ToyPolicy()
    trace = played(arm_bag, policy).trace
    assert (trace.received, len(trace.chunks), policy.resets) == (20, 20, 1)
    assert trace.chosen.sum() == 20
    np.testing.assert_allclose(trace.values[trace.chosen][7], [0.8, -0.6], atol=1e-6)
    assert trace.ends == {'canceled': 1}
    assert trace.drops == {}
    gaps_ms = np.diff(np.array(trace.times_ns)[trace.chosen]) / 1e6
    assert ((gaps_ms > 48) & (gaps_ms < 52)).all()


def test_an_observation_is_what_the_live_node_would_have_seen(arm_bag):
    policy = ToyPolicy()
    played(arm_bag, policy)
    seen = policy.seen[4]
    assert seen.timing.stamp_ns == START_NS + 200 * MS
    assert seen.timing.stages_ns['transport'] == 6 * MS
    np.testing.assert_array_equal(seen['front'], np.full((4, 6, 3), 4, np.uint8))
    np.testing.assert_allclose(seen['arm'], [0.4, -0.4], atol=1e-6)
    assert not seen['front'].flags.writeable
    assert not seen['arm'].flags.writeable
    assert seen.instruction == 'move'


def test_twice_is_the_same_to_the_last_byte_however_slow_the_machine(arm_bag):
    def slowly(observation):
        deadline = np.random.default_rng().integers(1, 200_000)
        sum(range(int(deadline)))
        return [observation['arm'] / 3]

    hashes = {
        played(arm_bag, ToyPolicy(answer=slowly), latency_ms=70).trace.sha256() for _ in range(3)
    }
    assert len(hashes) == 1
    assert hashes != {played(arm_bag, ToyPolicy(answer=slowly), latency_ms=20).trace.sha256()}


def test_latency_is_counted_on_the_clock_of_the_recording(arm_bag):
    """With 70 ms at 20 Hz two of seven observations are superseded, and the arm holds between."""
    trace = played(arm_bag, latency_ms=70).trace
    assert (len(trace.chunks), trace.drops) == (14, {'superseded': 6})
    ages_ns = (np.array(trace.times_ns) - np.array(trace.stamps_ns))[trace.chosen]
    assert (ages_ns >= 76 * MS).all()
    assert sum(trace.holds) > 5


def test_a_chunk_that_took_long_begins_at_its_later_steps(arm_bag):
    """The queue counts consumed actions: after 120 ms two of them have gone out."""
    spec = joint_spec(horizon=6)
    policy = ToyPolicy(spec, lambda seen: np.stack([seen['arm'] + 0.01 * k for k in range(6)]))
    trace = played(arm_bag, policy, latency_ms=120).trace
    steps = np.array(trace.steps)
    assert steps[0] == 0
    first = [
        steps[i] for i in range(1, len(steps)) if trace.stamps_ns[i] != trace.stamps_ns[i - 1]
    ]
    assert set(first[:-1]) <= {2, 3}
    assert trace.in_run_holds == 0


def test_a_partner_that_comes_late_is_waited_for(tmp_path):
    """Joints arrive 10 ms after the picture of the same instant, within the sync timeout."""
    rows = [
        row if row[0] == '/image_raw' else (*row[:2], row[2] + 10 * MS, row[3])
        for row in arm_messages(10)
    ]
    policy = ToyPolicy()
    trace = played(
        write_bag(tmp_path / 'late', sorted(rows, key=lambda row: row[2])), policy
    ).trace
    assert len(trace.chunks) == 10
    np.testing.assert_allclose(policy.seen[6]['arm'], [0.6, -0.6], atol=1e-6)
    assert policy.seen[6].timing.stages_ns['sync_wait'] == 9 * MS


def test_a_partner_that_never_comes_is_counted(tmp_path):
    rows = [
        row for row in arm_messages(35) if row[0] != '/joint_states' or row[2] < START_NS + SEC
    ]
    trace = played(write_bag(tmp_path / 'half', rows)).trace
    assert trace.drops['missing_arm'] == 5
    assert len(trace.chunks) == 30


def test_a_gap_of_years_ends_the_run_and_costs_nothing(tmp_path):
    year_ns = 365 * 86400 * SEC
    rows = arm_messages(10)
    moved = [
        (topic, kind, log_ns + year_ns,
         (MAKER.joints if kind == JOINT_STATE else MAKER.image)(START_NS + year_ns + i * 17 * MS,
          (0.0, 0.0) if kind == JOINT_STATE else 1))
        for i, (topic, kind, log_ns, _) in enumerate(arm_messages(10))
    ]  # fmt: skip
    trace = played(write_bag(tmp_path / 'gap', rows + moved)).trace
    assert trace.ends == {'no_fresh_observation': 1, 'canceled': 1}
    assert len(trace.rows) < 60


def test_stamps_that_are_zero_late_or_ahead_are_refused_as_live(tmp_path):
    rows = []
    stamps = (0, START_NS - SEC, START_NS + SEC, START_NS)
    for index, stamp_ns in enumerate(stamps):
        rows.append(
            ('/joint_states', JOINT_STATE, START_NS + index, MAKER.joints(START_NS, (0, 0)))
        )
        rows.append(('/image_raw', IMAGE, START_NS + index, MAKER.image(stamp_ns)))
    replayed = played(write_bag(tmp_path / 'stamps', rows))
    assert len(replayed.trace.chunks) == 1
    drops = replayed.trace.drops
    assert (drops['zero_stamp'], drops['late'], drops['future']) == (1, 1, 1)
    assert problems(replayed)[1].startswith(
        "stamps: topic '/image_raw', late (once, first at stamp 1699999999.123456789): message is"
    )


def test_a_bag_recorded_by_another_clock_can_be_played_by_its_stamps(tmp_path):
    day_ns = 86400 * SEC
    rows = [(topic, kind, log_ns + day_ns, each) for topic, kind, log_ns, each in arm_messages(10)]
    path = write_bag(tmp_path / 'clock', rows)
    assert played(path).trace.drops['late'] == 20
    trace = played(path, clock='header').trace
    assert len(trace.chunks) == 10
    assert set(trace.drops) == set()


@pytest.mark.parametrize(
    ('bad', 'reason', 'text'),
    [
        (MAKER.image(START_NS, step=3), 'malformed', 'image of 6x4 rgb8 with step 3'),
        (MAKER.image(START_NS, height=0), 'malformed', 'no pixels'),
        (MAKER.image(START_NS, encoding='bayer'), 'encoding', "'bayer' is not supported"),
        (MAKER.image(START_NS, data=np.zeros(5, np.uint8)), 'malformed', 'holds 5'),
        (b'\0\1\0\0\xff', 'undecodable', ''),
    ],
)
def test_a_bad_picture_is_named_by_bag_topic_and_stamp(tmp_path, bad, reason, text):
    rows = [('/image_raw', IMAGE, START_NS, bad), *arm_messages(3)]
    replayed = played(write_bag(tmp_path / 'bad', rows))
    (problem,) = problems(replayed)
    assert problem.startswith(
        f"bad: topic '/image_raw', {reason} (once, first at stamp 1700000000"
    )
    assert text in problem
    assert '\n' not in problem
    assert len(replayed.trace.chunks) == 3


def test_odd_strides_are_no_obstacle(tmp_path):
    padded = np.tile(np.r_[np.full(18, 9), np.full(7, 200)].astype(np.uint8), 4)
    rows = arm_messages(3)
    rows[2] = ('/image_raw', IMAGE, rows[2][2], MAKER.image(START_NS, step=25, data=padded))
    policy = ToyPolicy()
    played(write_bag(tmp_path / 'stride', rows), policy)
    np.testing.assert_array_equal(policy.seen[0]['front'], np.full((4, 6, 3), 9, np.uint8))


@pytest.mark.parametrize(
    ('joints', 'reason'),
    [
        (MAKER.joints(START_NS, (), ()), 'missing_joint'),
        (MAKER.joints(START_NS, (1, 2), ()), 'malformed'),
        (MAKER.joints(START_NS, (np.nan, 1)), 'not_finite'),
        (MAKER.joints(START_NS, (1e300, 1)), 'not_finite'),
    ],
)
def test_joints_without_names_or_numbers_are_counted(tmp_path, joints, reason):
    rows = [('/joint_states', JOINT_STATE, START_NS, joints), *arm_messages(3)]
    replayed = played(write_bag(tmp_path / 'joints', rows))
    assert replayed.trace.drops == {reason: 1}
    assert len(replayed.trace.chunks) == 3


def test_thousands_of_tiny_clouds(tmp_path):
    """Clouds of one point, of none, of NaN, and with an odd stride."""
    points = [np.ones((1, 3)), np.zeros((0, 3)), np.full((1, 3), np.nan), np.ones((2, 3))]
    rows = [
        ('/points', CLOUD, START_NS + row * MS,
         MAKER.cloud(START_NS + row * MS, points[row % 4], stride=(12, 13, 17, 31)[row % 4]))
        for row in range(4000)
    ]  # fmt: skip
    policy = ToyPolicy(hand_spec(POINTS), lambda seen: [[0] * 8])
    trace = played(write_bag(tmp_path / 'clouds', rows), policy, instruction='go').trace
    assert trace.received == 4000
    assert trace.drops['no_points'] == 2000
    assert len(trace.chunks) == 2000


def test_the_instruction_may_come_from_a_topic(tmp_path):
    rows = arm_messages(10)
    rows.insert(9, ('/say', STRING, rows[9][2], MAKER.string('reach')))
    rows.insert(20, ('/say', STRING, rows[20][2], MAKER.string('place')))
    rows.insert(24, ('/say', STRING, rows[24][2], MAKER.string('place')))
    policy = ToyPolicy()
    trace = played(write_bag(tmp_path / 'say', rows), policy, instruction_topic='say').trace
    assert policy.seen[0].instruction == 'reach'
    assert policy.seen[-1].instruction == 'place'
    assert trace.ends == {'preempted': 1, 'canceled': 1}
    assert policy.resets == 2


def said_by_the_node(*said):
    """Return the messages of an arm with what a policy node said, each before a step."""
    rows = arm_messages(10)
    for step, instruction in reversed(said):
        log_ns = rows[3 * step][2] - MS
        status = MAKER.status(log_ns, instruction)
        rows.insert(3 * step, ('/arm/policy/status', STATUS, log_ns, status))
    return rows


def test_a_recorded_policy_says_what_it_was_told(tmp_path):
    """Without a map: the runs begin and end as they did when the bag was recorded."""
    rows = said_by_the_node((0, ''), (2, 'reach'), (4, ''), (6, 'reach'), (8, 'place'))
    policy = ToyPolicy()
    replayed = played(write_bag(tmp_path / 'told', rows), policy)
    assert [seen.instruction for seen in policy.seen] == ['reach'] * 4 + ['place'] * 2
    assert replayed.instructions == ('reach', 'place')
    assert replayed.instruction_topic == '/arm/policy/status'
    assert replayed.trace.ends == {'canceled': 2, 'preempted': 1}
    assert played(tmp_path / 'told', ToyPolicy(), instruction='lift').instructions == ('lift',)


def test_a_recorded_policy_that_was_told_nothing_is_named(tmp_path):
    path = write_bag(tmp_path / 'idle', said_by_the_node((0, ''), (5, '')))
    with pytest.raises(
        ParameterError, match=r"idle: topic '/arm/policy/status' never says .*--instruction"
    ):
        played(path)


def test_an_instruction_topic_that_cannot_be_one_is_named(arm_bag):
    with pytest.raises(ParameterError, match="instruction_topic: there is no topic '/say'"):
        played(arm_bag, instruction_topic='/say')
    with pytest.raises(ParameterError, match="'/action' is of type 'sensor_msgs/msg/JointState'"):
        played(arm_bag, instruction_topic='/action')


@pytest.mark.parametrize('log_ns', [2**62, 2**63 + 5, 2**64 - 1])
def test_a_time_of_recording_that_no_clock_shows_is_named(tmp_path, log_ns):
    """It does not fit the numbers that times are kept in."""
    late = ('/image_raw', IMAGE, log_ns, MAKER.image(START_NS))
    replayed = played(write_bag(tmp_path / 'late', [*arm_messages(3), late]))
    (problem,) = problems(replayed)
    assert problem.startswith(
        f"late: topic '/image_raw', implausible_time (once, first at stamp {log_ns // SEC}."
    )
    assert len(replayed.trace.chunks) == 3


def test_a_bag_without_messages_gives_an_empty_report(tmp_path):
    with Writer(tmp_path / 'silent', version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        for topic, kind in (('/image_raw', IMAGE), ('/joint_states', JOINT_STATE)):
            writer.add_connection(topic, kind, typestore=ros2_types())
    replayed = played(tmp_path / 'silent')
    scores = scores_of(replayed, 20.0)
    assert (scores['observations'], scores['commands'], scores['runs']) == (0, 0, {})
    assert scores['error']['mean_absolute']['policy'] is None
    assert page_data(replayed, 'toy').policy.times_sec == []


def test_a_topic_with_two_publishers_is_one_topic(tmp_path):
    """Each has a channel of its own in the file."""
    rows = arm_messages(6)
    path = tmp_path / 'twice.mcap'
    with path.open('wb') as file:
        writer = McapWriter(file)
        writer.start(profile='ros2')
        for row, (topic, kind, log_ns, message) in enumerate(rows):
            text = ros2_types().generate_msgdef(kind, ros_version=2)[0]
            schema = writer.register_schema(kind, 'ros2msg', text.encode())
            channel = writer.register_channel(topic, 'cdr', schema, {'of': str(row)})
            data = bytes(ros2_types().serialize_cdr(message, kind))
            writer.add_message(channel, log_time=log_ns, data=data, publish_time=log_ns)
        writer.finish()
    replayed = played(path)
    assert {topic.name: topic.count for topic in replayed.source.topics}['/image_raw'] == 6
    assert len(replayed.trace.chunks) == 6


def test_without_an_instruction_it_says_where_to_give_one(arm_bag):
    spec = joint_spec()
    policy = ToyPolicy(type(spec)('toy', 'rt2', spec.observations, spec.action))
    with pytest.raises(ParameterError, match='does not say what was to be done; give --instruc'):
        played(arm_bag, policy)


def test_a_policy_that_terminates_is_started_again(arm_bag):
    policy = ToyPolicy(hand_spec(), lambda seen: [[float(seen['front'].max() == 5), *[0] * 7]])
    trace = played(arm_bag, policy).trace
    assert trace.ends == {'terminate': 1, 'canceled': 1}
    assert trace.received == 20
    assert len(trace.chunks) >= 18


def test_a_policy_that_fails_is_named_with_the_stamp(arm_bag):
    def fail(observation):
        raise RuntimeError('no such layer')

    with pytest.raises(
        BagError, match=r"arm: policy 'toy' failed at 1700000000\.1.*no such layer"
    ):
        played(arm_bag, ToyPolicy(answer=fail))


def test_a_bag_that_breaks_off_gives_what_came_before(tmp_path, monkeypatch):
    """Even while the policy waits for the next message, which is not its fault."""
    bag = Bag(write_bag(tmp_path / 'cut', arm_messages(10)))
    whole = bag.messages

    def broken(topics):
        for count, message in enumerate(whole(topics)):
            if count == 15:
                raise BagError('cut: broken after topic x at 1.0')
            yield message

    monkeypatch.setattr(bag, 'messages', broken)
    for latency_ms in (0.0, 70.0):
        replayed = replay(bag, ToyPolicy(), ReplaySettings(latency_ms=latency_ms))
        assert replayed.broken == 'cut: broken after topic x at 1.0'
        assert replayed.trace.chunks


def test_actions_beyond_the_range_are_clipped_and_counted(arm_bag):
    policy = ToyPolicy(answer=lambda seen: [[9.0, 0.0]])
    replayed = played(arm_bag, policy)
    assert replayed.trace.values.max() == 5.0
    assert scores_of(replayed, 20.0)['clipped_share'] == 0.5


def test_progress_counts_every_message(arm_bag):
    seen = []
    played(arm_bag, watch=lambda done, total: seen.append((done, total)))
    assert seen[0] == (0, 60)
    assert seen[-1] == (59, 60)


@pytest.mark.parametrize(
    ('known', 'text'),
    [
        ({'topics': {'front': '/nothing'}}, "there is no topic '/nothing'; topics: /action,"),
        ({'topics': {'front': '/action'}}, "'/action' is of type 'sensor_msgs/msg/JointState'"),
        ({'actions': [{'topic': '/image_raw'}]}, 'from which no action can be read'),
        ({'actions': [{'topic': 'action', 'dimensions': {'wrist': 'a'}}]}, "dimension 'wrist'"),
        ({'actions': [{'topic': 'action', 'form': 'twist'}]}, 'needed: geometry_msgs/msg/Twist'),
    ],
)
def test_a_map_that_does_not_fit_names_bag_and_topic(arm_bag, known, text):
    with pytest.raises(ParameterError) as caught:
        played(arm_bag, **known)
    assert text in str(caught.value)


def test_a_need_that_could_be_either_topic_is_asked_for(tmp_path):
    rows = [('/left', IMAGE, START_NS, MAKER.image(START_NS)),
            ('/right', IMAGE, START_NS, MAKER.image(START_NS))]  # fmt: skip
    path = write_bag(tmp_path / 'two', rows)
    policy = ToyPolicy(hand_spec(CAMERA), lambda seen: [[0] * 8])
    with pytest.raises(
        ParameterError, match='fitting: /left, /right; name it with --topic front='
    ):
        played(path, policy)
    assert played(path, policy, topics={'front': 'left'}).topics == {'front': '/left'}


def test_topics_in_a_namespace_are_found(tmp_path):
    rows = [(f'/robot{topic}', *rest) for topic, *rest in arm_messages(2)]
    rows.append(('/robot/wrist/image_raw', IMAGE, rows[-1][2], MAKER.image(START_NS)))
    replayed = played(write_bag(tmp_path / 'space', rows), ToyPolicy(joint_spec(CAMERA, ARM)),
                      topics={'front': '/robot/image_raw'})  # fmt: skip
    assert replayed.topics == {'front': '/robot/image_raw', 'arm': '/robot/joint_states'}


@needs_bags
def test_a_real_arm_is_replayed_message_by_message():
    """Its joints are found by name, in another order, and it moves as it was recorded to."""
    states = [each.read() for each in Bag(BAGS / 'ur3_move').messages({'/joint_states'})]
    names = tuple(reversed(states[0].name))
    dimensions = tuple(ActionDimension(name, 'rad', -7.0, 7.0) for name in names)
    need = ObservationSpec('arm', 'joint_positions', (6,), 'rad', max_age_sec=0.5, names=names)
    action = ActionSpec('joint_positions', dimensions, '', 50.0, 1)
    policy = ToyPolicy(PolicySpec('copy', 'toy', (need,), action, instructions=('move',)))
    policy.answer = lambda seen: [seen['arm'] + 0.1]
    actions = [{'topic': '/joint_states', 'form': 'joint_state'}]
    replayed = played(BAGS / 'ur3_move', policy, clock='header', actions=actions)
    scores = scores_of(replayed, 50.0)
    assert scores['commands'] == scores['error']['compared'] == len(states) == 1052
    assert (scores['dropped'], problems(replayed)) == ({}, [])
    means = scores['error']['mean_absolute']
    assert (means['policy'], means['copy_state']) == pytest.approx((0.1, 0), abs=1e-6)
    moved = np.abs(np.diff([each.position for each in states], axis=0)).mean()
    assert means['copy_previous_action'] == pytest.approx(moved, rel=0.01)


@needs_bags
def test_a_real_picture_without_a_stamp_is_refused_as_live():
    policy = ToyPolicy(hand_spec(CAMERA), lambda seen: [[0] * 8])
    replayed = played(BAGS / 'phone_sample', policy, topics={'front': '/image'})
    assert (replayed.trace.received, replayed.trace.drops) == (1, {'zero_stamp': 1})
    assert problems(replayed)[0].startswith("phone_sample: topic '/image', zero_stamp (once")


def test_memory_does_not_grow_with_the_bag(tmp_path):
    """A bag of 180 MB takes hardly more than one of 9 MB: messages are streamed."""
    code = (
        'import resource, sys\n'
        'from pathlib import Path\n'
        'from evaluation.replay.bags import ToyPolicy, hand_spec\n'
        'from sara_ros.evaluation.replay.bag import Bag\n'
        'from sara_ros.evaluation.replay.replay import ReplaySettings, replay\n'
        'policy = ToyPolicy(hand_spec(), lambda seen: policy.seen.clear() or [[0] * 8])\n'
        'trace = replay(Bag(Path(sys.argv[1])), policy, ReplaySettings(frames=5)).trace\n'
        'print(len(trace.chunks), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)\n'
    )
    pixels = np.zeros(480 * 640 * 3, np.uint8)
    used_kb = []
    for count in (10, 200):
        rows = (
            ('/image_raw', IMAGE, stamp_ns,
             MAKER.image(stamp_ns, height=480, width=640, data=pixels))
            for stamp_ns in range(START_NS, START_NS + count * 50 * MS, 50 * MS)
        )  # fmt: skip
        path = write_bag(tmp_path / f'bag{count}', rows)
        done = subprocess.run(
            [sys.executable, '-c', code, str(path)], capture_output=True, text=True, check=True,
            timeout=60, env={**os.environ, 'PYTHONPATH': str(Path(__file__).parents[2])},
        )  # fmt: skip
        chunks, peak_kb = map(int, done.stdout.split())
        assert chunks == count
        used_kb.append(peak_kb)
    assert used_kb[1] - used_kb[0] < 30_000
