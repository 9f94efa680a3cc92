"""Episodes of LeRobot folders as recordings."""

from dataclasses import replace
import json
from pathlib import Path

from evaluation.replay.bags import IMAGE, JOINT_STATE, ToyPolicy, joint_spec, write_bag
import numpy as np
import pytest
from training.test_lerobot import recording, write_episode
from training.test_recorded import write_hand

from sara_ros.core import ActionDimension, ObservationSpec
from sara_ros.evaluation.replay.bag import Bag
from sara_ros.evaluation.replay.lerobot_source import LeRobotSource
from sara_ros.evaluation.replay.mapping import ReplayMap
from sara_ros.evaluation.replay.messages import BagError
from sara_ros.evaluation.replay.places import Place, places_of
from sara_ros.evaluation.replay.replay import ReplaySettings, replay
from sara_ros.evaluation.replay.ros2_messages import serialised
from sara_ros.evaluation.replay.topic_choice import actions_of
from sara_ros.evaluation.replay.training_data import trained_on, training_mean

REAL = Path(__file__).parents[4] / 'shared' / 'data' / 'g1_bottle'
EVERYTHING = ('/image_raw', '/joint_states', '/action')

__all__ = ['recording']


def test_an_episode_is_a_recording_with_stamps_from_its_rate(recording):
    source = LeRobotSource(recording, 0)
    assert [(topic.name, topic.count) for topic in source.topics] == [
        ('/action', 12), ('/image_raw', 12), ('/joint_states', 12),
    ]  # fmt: skip
    found = list(source.messages(EVERYTHING))
    assert [each.topic for each in found[:3]] == ['/joint_states', '/action', '/image_raw']
    assert np.unique(np.diff([each.log_ns for each in found[::3]])).tolist() == [100_000_000]
    image = found[2].read()
    assert (image.height, image.width, image.encoding) == (32, 48, 'rgb8')
    assert [each.topic for each in source.messages(['/action'])] == ['/action'] * 12


def test_every_camera_is_a_topic_and_the_first_one_comes_last(tmp_path):
    root = write_hand(tmp_path / 'hand-set', (3,), cameras=('top', 'wrist'))
    source = LeRobotSource(root, 0)
    names = [topic.name for topic in source.topics]
    assert names == ['/action', '/image_raw', '/wrist/image_raw', '/joint_states']
    found = list(source.messages(names))
    assert [each.topic for each in found[:4]] == [
        '/joint_states', '/action', '/wrist/image_raw', '/image_raw'
    ]  # fmt: skip
    assert [each.topic for each in source.messages(['/wrist/image_raw'])] == names[2:3] * 3


def test_displacements_are_compared_by_their_names(tmp_path):
    """A data set made of bags of an end effector once needed a map to be compared."""
    source = LeRobotSource(write_hand(tmp_path / 'hand-set', (3,)), 0)
    assert source.action_kind == 'end_effector_delta'
    (found,) = actions_of(source, 'end_effector_delta', ReplayMap())
    assert (found.topic, found.form) == ('/action', 'joint_state')


def test_folders_are_taken_apart_into_their_episodes(recording):
    assert [place.episode for place in places_of(recording)] == [0, 1, 3]
    assert [place.episode for place in places_of(recording, [3])] == [3]
    with pytest.raises(BagError, match='episode 2 is not there; it holds 0, 1, 3'):
        places_of(recording, [2])


def test_a_video_that_ends_early_is_named_with_its_stamp(recording):
    write_episode(recording, 1, frames=5)
    with pytest.raises(BagError) as caught:
        list(LeRobotSource(recording, 1).messages(EVERYTHING))
    assert "#1: broken at topic '/image_raw', stamp 1.500000000: the video ends" in str(
        caught.value
    )


def test_the_mean_is_that_of_the_episodes_that_are_here(recording):
    one = LeRobotSource(recording, 1)._episode.actions
    found = mean_of(recording, recording='recording', episodes=[1, 77])
    np.testing.assert_allclose(found.values, one.mean(axis=0), atol=1e-7)
    assert not found.remark


def mean_of(folder, **training):
    """Return where the mean comes from for a model that was trained as said, and its values."""
    names = ('shoulder', 'elbow', 'wrist')
    dimensions = tuple(ActionDimension(name, 'rad', -5.0, 5.0) for name in names)
    spec = joint_spec()
    spec = replace(spec, action=replace(spec.action, dimensions=dimensions))
    return training_mean(Place(folder, 1), spec, training, {})


@pytest.mark.parametrize(
    ('training', 'seen'),
    [
        ({'recording': 'recording', 'episodes': [0, 1]}, True),
        ({'recording': 'recording', 'episodes': [0]}, False),
        ({'recording': 'another', 'episodes': [1]}, False),
        ({'recording': 'recording', 'episodes': 1}, False),
        ({}, False),
    ],
)
def test_an_episode_that_the_model_was_trained_on_is_remarked(recording, training, seen):
    remark = trained_on(Place(recording, 1), joint_spec(), training)
    assert remark.startswith("'toy' was trained on this episode") == seen == bool(remark)


def test_a_set_of_the_same_name_without_a_training_episode_has_no_mean(recording):
    """It ended in a traceback: need at least one array to concatenate."""
    found = mean_of(recording, recording='recording', episodes=[77])
    assert found.values is None
    assert found.remark == (
        'training_mean is the mean of this very recording: none of the episodes that '
        "'toy' was trained on is in recording"
    )
    assert mean_of(recording, recording='recording', episodes=[1]).values.shape == (3,)
    assert mean_of(recording, recording='recording', episodes=['x', None]).values is None


def test_a_set_of_the_same_name_with_other_actions_has_no_mean(recording):
    """Its numbers were taken for the dimensions of the policy, or did not fit them."""
    spec = joint_spec()
    training = {'recording': 'recording', 'episodes': [1]}
    found = training_mean(Place(recording, 1), spec, training, {})
    assert found.values is None
    assert found.remark.endswith("the actions of recording are not those of 'toy'")


def test_the_name_of_a_folder_that_is_given_as_a_dot_is_its_own(recording, monkeypatch):
    monkeypatch.chdir(recording)
    assert LeRobotSource(Path(), 1).name == 'recording#1'
    found = mean_of(Path(), recording='recording', episodes=[1])
    assert found.values is not None


@pytest.mark.parametrize(
    ('feature', 'text'),
    [
        ({'names': None}, "names no dimensions of 'action'"),
        ({'names': 7}, "names no dimensions of 'action'"),
        ({'names': ['a']}, "names 1 of 3 dimensions of 'action'"),
        (None, "describes no 'action'"),
    ],
)
def test_actions_without_names_are_refused(recording, feature, text):
    """It ended in a traceback: object of type 'NoneType' has no len()."""
    path = recording / 'meta' / 'info.json'
    info = json.loads(path.read_text())
    action = info['features'].pop('action')
    if feature is not None:
        info['features']['action'] = {**action, **feature}
    path.write_text(json.dumps(info))
    with pytest.raises(BagError, match=rf'^recording#1: .*info\.json {text}'):
        LeRobotSource(recording, 1)


@pytest.mark.skipif(not REAL.is_dir(), reason='../shared/data/g1_bottle is not here')
def test_a_bag_made_of_a_real_episode_gives_the_same_actions_to_the_last_bit(tmp_path):
    source = LeRobotSource(REAL, 10)
    names = source._recording.names('observation.state')
    rows = []
    for message in source.messages(EVERYTHING):
        kind = IMAGE if message.topic == '/image_raw' else JOINT_STATE
        rows.append((message.topic, kind, message.log_ns, serialised(message.read(), kind)))
        if len(rows) == 90:
            break
    bag = Bag(write_bag(tmp_path / 'g1', rows))
    front = ObservationSpec('front', 'image', (None, None, 3), 'rgb8', max_age_sec=0.2)
    arm = ObservationSpec('arm', 'joint_positions', (26,), names=names)
    spec = joint_spec(front, arm, rate_hz=30.0)

    def played(recording):
        policy = ToyPolicy(spec, lambda seen: [[seen['arm'].sum(), seen['front'].mean() / 100.0]])
        settings = ReplaySettings()
        return replay(recording, policy, settings).trace

    first, second = played(source), played(bag)
    assert len(second.chunks) == 30
    np.testing.assert_array_equal(np.stack(first.chunks[:30]), np.stack(second.chunks))
    assert list(first.times_ns[:30]) == list(second.times_ns[:30])
