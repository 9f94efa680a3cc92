"""What recordings of other kinds are trained on: displacements, tasks, single episodes."""

from dataclasses import replace
import json

import numpy as np
import pytest

from sara_ros.core import ParameterError
from sara_ros.core.spec import END_EFFECTOR_DIMENSIONS
from sara_ros.evaluation.dataset.writer import DatasetWriter
from sara_ros.policies import load_policy
from sara_ros.policies.checkpoint import read
from sara_ros.training.baselines import baseline_errors
from sara_ros.training.lerobot import Episode, LeRobotRecording
from sara_ros.training.optimiser import Recipe
from sara_ros.training.recorded import (
    RecordedConfig,
    RecordedLearner,
    fingerprint,
    held_out_error,
    train_recorded,
    videos_of,
)
from sara_ros.training.recorded_spec import recorded_spec
from sara_ros.training.recorded_split import split
from sara_ros.training.recorded_targets import targets_of
from sara_ros.uptraining.data import DataOptions
from sara_ros.uptraining.recorded_data import RecordedData

JOINTS = ('shoulder', 'elbow')


def write_hand(
    root, lengths, instructions=('reach the cup', 'lift the cup'), cameras=('front',), seed=0
):
    """Write episodes of an end effector that moves by 2 mm a step with a half-open hand."""
    rng = np.random.default_rng(seed)
    root.mkdir()
    with DatasetWriter(
        root,
        fps=10,
        joints=JOINTS,
        actions=END_EFFECTOR_DIMENSIONS,
        cameras=cameras,
        frame='base_link',
    ) as writer:
        for index, length in enumerate(lengths):
            for row in range(length):
                action = np.array([row == length - 1, 0.002, 0, 0, 0, 0, 0, 0.5], np.float32)
                picture = np.full((32, 48, 3), 10 * row, np.uint8)
                task = instructions[index % len(instructions)]
                pictures = {name: picture + place for place, name in enumerate(cameras)}
                writer.add(task, rng.normal(0, 0.1, 2), action, pictures)
            writer.end()
        writer.finish()
    return root


def config(folder, root, model_id='hand'):
    """Return a run of two steps."""
    return RecordedConfig(
        model_id, root, folder / 'models', folder / 'work', recipe=Recipe(steps=2, batch=4),
        threads=1,
    )  # fmt: skip


def episode(index=0, rows=10):
    return Episode(index, np.zeros((rows, 2), np.float32), np.zeros((rows, 2), np.float32), 'go')


@pytest.mark.parametrize(
    ('count', 'held_out'), [(2, [1]), (3, [2]), (5, [4]), (6, [4, 5]), (8, [6, 7])]
)
def test_the_last_episodes_are_held_out_but_a_third_at_most(count, held_out):
    train, kept = split([episode(index) for index in range(count)], 2)
    assert [each.index for each in kept] == held_out
    assert [each.index for each in train] == list(range(held_out[0]))


def test_of_an_only_episode_the_last_fifth_is_held_out():
    (train,), (kept,) = split([episode(rows=60)], 2)
    assert (len(train.actions), kept.first, len(kept.actions), kept.rows) == (48, 48, 12, 60)
    with pytest.raises(ParameterError, match='only episode has 7 frames, too few'):
        split([episode(rows=7)], 2)


@pytest.mark.parametrize(
    ('action', 'kind', 'relative', 'still'),
    [
        (JOINTS, 'joint_positions', True, [[1, 2], [3, 4]]),
        (JOINTS[::-1], 'joint_positions', False, [[2, 1], [4, 3]]),
        (('elbow',), 'joint_positions', False, [[2], [4]]),
        (('wrist', 'elbow'), 'joint_positions', False, None),
        (END_EFFECTOR_DIMENSIONS, 'end_effector_delta', False, [[*[0] * 7, 7], [*[0] * 7, 7]]),
    ],
)
def test_names_tell_what_actions_are(action, kind, relative, still):
    """Only targets of the joints in the state, in their order, are relative to it."""
    targets = targets_of(JOINTS, action)
    assert (targets.kind, bool(targets.relative_to)) == (kind, relative)
    states = np.array([[1, 2], [3, 4]], np.float32)
    actions = np.arange(2 * len(action), dtype=np.float32).reshape(2, -1)
    found = targets.still(Episode(0, states, actions, 'go'))
    assert (None if found is None else found.tolist()) == still
    if relative:
        np.testing.assert_array_equal(targets.coded(actions, states), actions - states)
    else:
        assert targets.coded(actions, states) is actions


def test_a_baseline_that_nothing_says_is_left_out():
    errors = baseline_errors([episode()], [episode()], targets_of(JOINTS, ('a', 'b')))
    assert set(errors) == {'training_mean', 'copy_previous_action'}


def test_trains_on_displacements_of_several_tasks(tmp_path):
    """The policy is one that the node serves: SI units, flag and opening from 0 to 1."""
    root = write_hand(tmp_path / 'hand-set', (8, 9, 10))
    folder = train_recorded(config(tmp_path, root))
    policy = load_policy(tmp_path / 'models', 'hand')
    action = policy.spec.action
    assert (action.kind, action.names) == ('end_effector_delta', END_EFFECTOR_DIMENSIONS)
    assert action.frame == 'base_link'
    assert [each.unit for each in action.dimensions][1:5] == ['m', 'm', 'm', 'rad']
    assert (action.low[[0, 7]], action.high[[0, 7]]) == (pytest.approx(0), pytest.approx(1))
    assert policy.spec.instructions == ('lift the cup', 'reach the cup')
    metrics = json.loads((folder / 'policy.json').read_text())['metrics']
    assert metrics['held_out_episodes'] == [2]
    assert metrics['baselines']['copy_state'] == pytest.approx((0.002 + 0.1) / 8, abs=1e-6)
    assert 'held_out_from_frame' not in metrics


def test_every_frame_has_the_words_of_its_own_episode(tmp_path):
    """All frames once had those of the first instruction."""
    recording = LeRobotRecording(write_hand(tmp_path / 'hand-set', (3, 4)))
    train = [recording.episode(index) for index in (0, 1)]
    options = config(tmp_path, recording.root)
    learner = RecordedLearner(options, recorded_spec('a', recording, train, 0.1), recording, train)
    seen = []
    learner.network.forward = lambda images, state, words, tokens: seen.append(words) or 1 / 0
    with pytest.raises(ZeroDivisionError):
        learner.losses(np.random.default_rng(0), 40)
    rows = np.random.default_rng(0).integers(0, 7, 40)
    for row, words in zip(rows, seen[0], strict=True):
        assert words[0].equal(learner.encoded(train[int(row >= 3)].instruction))


def test_a_single_episode_is_up_trained_on_the_same_part(tmp_path):
    """The held-out error is that of the served policy on the last fifth."""
    root = write_hand(tmp_path / 'hand-set', (20,))
    train_recorded(config(tmp_path, root))
    stored = read(tmp_path / 'models', 'hand')
    assert stored.checkpoint.metrics['held_out_from_frame'] == 16
    policy = load_policy(tmp_path / 'models', 'hand')
    options = DataOptions(tmp_path / 'work', tmp_path / 'models', recording=root)
    found = RecordedData(stored, policy.network, options).measure(policy.network)
    recording = LeRobotRecording(root)
    kept = recording.episode(0)
    part = Episode(0, kept.states[16:], kept.actions[16:], kept.instruction, 16, 20)
    videos = videos_of(recording, part)
    assert abs(videos['front'][1].mean() - 170) < 6
    error = held_out_error(policy, [part], [videos])
    assert found.frames == 4
    assert found.mean_absolute_error == pytest.approx(error, rel=1e-3)


def test_all_cameras_of_a_recording_are_seen(tmp_path):
    """The first alone was once taken; the model also states which, for its up-training."""
    root = write_hand(tmp_path / 'hand-set', (8, 9, 10), cameras=('top', 'wrist'))
    train_recorded(config(tmp_path, root))
    stored = read(tmp_path / 'models', 'hand')
    policy = load_policy(tmp_path / 'models', 'hand')
    names = [need.name for need in policy.spec.observations]
    assert names == ['top', 'wrist', 'joint_positions']
    assert policy.network.config.image_tokens == 2 * 108
    assert stored.checkpoint.training['cameras'] == [
        'observation.images.top', 'observation.images.wrist'
    ]  # fmt: skip
    options = DataOptions(tmp_path / 'work', tmp_path / 'models', recording=root)
    found = RecordedData(stored, policy.network, options).measure(policy.network)
    recording = LeRobotRecording(root)
    kept = [recording.episode(2)]
    error = held_out_error(policy, kept, [videos_of(recording, each) for each in kept])
    assert found.mean_absolute_error == pytest.approx(error, rel=1e-3)


def test_one_camera_of_several_is_chosen(tmp_path):
    root = write_hand(tmp_path / 'hand-set', (8, 9), cameras=('top', 'wrist'))
    train_recorded(replace(config(tmp_path, root), cameras=('wrist',)))
    stored = read(tmp_path / 'models', 'hand')
    policy = load_policy(tmp_path / 'models', 'hand')
    assert [need.name for need in policy.spec.observations] == ['front', 'joint_positions']
    options = DataOptions(tmp_path / 'work', tmp_path / 'models', recording=root)
    assert RecordedData(stored, policy.network, options).measure(policy.network).frames == 9
    with pytest.raises(ParameterError, match=r'a run with other settings \(cameras\)'):
        train_recorded(replace(config(tmp_path, root), cameras=('top',)))
    with pytest.raises(
        ParameterError, match=r"no camera 'left'; it has: observation\.images\.top"
    ):
        LeRobotRecording(root, ['left'])


def test_a_run_keeps_to_its_recording(tmp_path):
    """A finished run once gave its model to any recording of the same shapes."""
    first = write_hand(tmp_path / 'first', (3, 4))
    folder = train_recorded(config(tmp_path, first))
    before = (folder / 'policy.json').read_bytes()
    data = json.loads((tmp_path / 'work' / 'record.json').read_text())['data']
    assert (data['recording'], data['episodes'], data['frames']) == ('first', 2, 7)
    other = write_hand(tmp_path / 'other', (3, 4), seed=1)
    with pytest.raises(ParameterError, match=r'a run with other settings \(recording\)'):
        train_recorded(config(tmp_path, other))
    assert (folder / 'policy.json').read_bytes() == before
    moved = LeRobotRecording(first.rename(tmp_path / 'moved'))
    found = fingerprint(moved, [moved.episode(index) for index in (0, 1)])
    assert data == {'recording': 'first', **found}


@pytest.mark.parametrize(
    ('features', 'names'),
    [
        (('images.left.rgb', 'images.right.rgb'), ('images_left_rgb', 'images_right_rgb')),
        (('images.left.rgb', 'images.right.0'), ('rgb', 'camera_0')),
        (('images.rgb-d',), ('front',)),
    ],
)
def test_cameras_have_names_that_ros_can_have_and_that_differ(tmp_path, features, names):
    """Two cameras with the same last part were once one."""
    root = write_hand(tmp_path / 'hand-set', (3,))
    path = root / 'meta' / 'info.json'
    info = json.loads(path.read_text())
    video = info['features'].pop('observation.images.front')
    info['features'].update(dict.fromkeys(features, video))
    path.write_text(json.dumps(info))
    assert LeRobotRecording(root).cameras == dict(zip(names, features, strict=True))
