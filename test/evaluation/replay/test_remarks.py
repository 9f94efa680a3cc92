"""What a report says beside its numbers, and which topics it takes for what."""

from evaluation.replay.bags import (
    ACTION,
    ARM,
    CAMERA,
    CLOUD,
    IMAGE,
    JOINT_STATE,
    MAKER,
    MS,
    POINTS,
    START_NS,
    ToyPolicy,
    arm_messages,
    hand_spec,
    joint_spec,
    write_bag,
)
import numpy as np
import pytest

from sara_ros.core import ObservationError, ObservationSpec, ParameterError
from sara_ros.evaluation.replay.bag import Bag
from sara_ros.evaluation.replay.mapping import ReplayMap
from sara_ros.evaluation.replay.messages import Topic
from sara_ros.evaluation.replay.remarks import remarks_of
from sara_ros.evaluation.replay.replay import ReplaySettings, replay
from sara_ros.evaluation.replay.topic_choice import topic_of

WRIST = ObservationSpec('wrist', 'image', (None, None, 3), 'rgb8', max_age_sec=0.5)
STILL = [[0] * 8]


def played(path, policy=None, **known):
    """Return what ``policy`` did on the bag at ``path``."""
    return replay(Bag(path), policy or ToyPolicy(), ReplaySettings(ReplayMap.of(known)))


def test_a_whole_recording_needs_no_remark(arm_bag):
    assert remarks_of(played(arm_bag)) == []


def test_without_a_recorded_action_it_says_where_one_may_be(tmp_path):
    """The error was a dash without a word."""
    rows = [(f'/{side}', ACTION, START_NS, MAKER.action(START_NS, 0.1)) for side in 'ab']
    rows += [row for row in arm_messages(3) if row[0] != '/action']
    policy = ToyPolicy(hand_spec(), lambda seen: STILL)
    (text,) = remarks_of(played(write_bag(tmp_path / 'two', rows), policy))
    assert text == (
        'two: no recorded action is compared: it may be in /a, /b, /joint_states; name it under '
        'actions in the map'
    )
    bare = write_bag(tmp_path / 'none', [row for row in rows if row[0] == '/image_raw'])
    (text,) = remarks_of(played(bare, ToyPolicy(hand_spec(), lambda seen: STILL)))
    assert text.endswith('no topic is left that could hold it')


def test_recorded_actions_of_another_time_are_not_passed_over(tmp_path):
    rows = [
        (topic, kind, log_ns, MAKER.joints(START_NS + 9000 * MS, (0, 0)))
        if topic == '/action' else (topic, kind, log_ns, message)
        for topic, kind, log_ns, message in arm_messages(3)
    ]  # fmt: skip
    (text,) = remarks_of(played(write_bag(tmp_path / 'apart', rows)))
    assert text.startswith(
        "apart: no recorded action of '/action' can be compared: those of the policy are meant "
        'for 1700000000.123456789 to 1700000000.223456789'
    )


def test_messages_that_got_lost_are_counted(arm_bag, monkeypatch):
    bag = Bag(arm_bag)
    topics = [Topic(each.name, each.type, each.count + 2) for each in bag.topics]
    monkeypatch.setattr(bag, 'topics', tuple(topics))
    remarks = remarks_of(replay(bag, ToyPolicy(), ReplaySettings()))
    assert "arm: topic '/action' should hold 22 messages and gave 20" in remarks
    assert len(remarks) == 3


def test_an_instruction_that_the_model_does_not_know_is_said(arm_bag):
    (text,) = remarks_of(played(arm_bag, instruction='sing\na\x1b song'))
    assert text == "arm: the model was not trained on the instruction 'sing a song'; it knows move"


def test_what_the_policy_refuses_is_named_by_topic_and_stamp(tmp_path):
    """It was counted, and nobody was told why."""
    stamps = [START_NS + row * 50 * MS for row in range(3)]
    rows = [('/points', CLOUD, stamp, MAKER.cloud(stamp, np.ones((2, 3)))) for stamp in stamps]

    def refuse(observation):
        raise ObservationError('no_points', 'none is inside the box')

    policy = ToyPolicy(hand_spec(POINTS), refuse)
    replayed = played(write_bag(tmp_path / 'far', rows), policy)
    (problem,) = [each.text('far') for each in replayed.trace.problems]
    assert problem == (
        "far: topic '/points', no_points (3 times, first at stamp 1700000000.123456789): none is "
        'inside the box'
    )


def test_names_in_a_message_neither_disturb_the_terminal_nor_fill_it(tmp_path):
    names = ['\x1b[31m', 'a\nb', *(f'joint{number}' for number in range(5000))]
    joints = MAKER.joints(START_NS, np.zeros(len(names)), names)
    rows = [('/joint_states', JOINT_STATE, START_NS, joints), *arm_messages(2)]
    replayed = played(write_bag(tmp_path / 'rude', rows))
    (problem,) = [each.text('rude') for each in replayed.trace.problems]
    assert problem.isprintable()
    assert len(problem) < 800


def test_two_sources_may_share_a_topic(tmp_path):
    """The second replaced the first."""
    shared = [
        {'topic': '/action', 'dimensions': {'shoulder': 'shoulder'}, 'scale': 2.0},
        {'topic': '/action', 'dimensions': {'elbow': 'elbow'}, 'scale': -1.0},
    ]
    replayed = played(write_bag(tmp_path / 'both', arm_messages(4)), actions=shared)
    found = replayed.recorded.at([START_NS + 50 * MS])
    np.testing.assert_allclose(found, [[0.3, 0.05]], atol=1e-6)


def chosen(tmp_path, names, need, needs=(CAMERA, WRIST, ARM), **known):
    """Return the topic taken for ``need`` in a bag of pictures on ``names``."""
    rows = [(name, IMAGE, START_NS, MAKER.image(START_NS)) for name in names]
    source = Bag(write_bag(tmp_path / f'bag{len(list(tmp_path.iterdir()))}', rows))
    return topic_of(need, joint_spec(*needs), source, ReplayMap.of(known)).name


def test_a_camera_is_not_taken_for_another_one(tmp_path):
    """A bag with one picture showed it to both, and a policy of two cameras acted on it."""
    assert chosen(tmp_path, ['/image_raw'], CAMERA) == '/image_raw'
    for topics, need in ((['/image_raw'], WRIST), (['/wrist/image_raw'], CAMERA),
                         (['/camera/color'], CAMERA), (['/camera/color'], WRIST)):  # fmt: skip
        with pytest.raises(ParameterError, match='name it with --topic'):
            chosen(tmp_path, topics, need)
    both = ['/robot/wrist/image_raw', '/camera/color']
    assert chosen(tmp_path, both, WRIST) == '/robot/wrist/image_raw'
    assert chosen(tmp_path, both, CAMERA) == '/camera/color'
    assert chosen(tmp_path, ['/a', '/b'], CAMERA, topics={'wrist': 'b'}) == '/a'
    assert chosen(tmp_path, ['/camera/color'], CAMERA, (CAMERA, ARM)) == '/camera/color'


def test_raw_pictures_come_before_their_compressed_twins(tmp_path):
    twins = ['/image_raw/compressed', '/image_raw', '/wrist/image_raw/compressed']
    assert chosen(tmp_path, twins, CAMERA) == '/image_raw'
    assert chosen(tmp_path, twins, WRIST) == '/wrist/image_raw/compressed'
    assert chosen(tmp_path, twins[::2], CAMERA) == '/image_raw/compressed'
    assert chosen(tmp_path, ['/rgb/compressed', '/rgb'], CAMERA, (CAMERA, ARM)) == '/rgb'


def test_hundreds_of_topics_do_not_fill_the_message(tmp_path):
    topics = [f'/image{number}' for number in range(60)]
    with pytest.raises(ParameterError, match=r'/image0, .* and 40 more; name it') as caught:
        chosen(tmp_path, topics, CAMERA)
    assert len(str(caught.value)) < 500
