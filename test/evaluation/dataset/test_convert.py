"""Bags become LeRobot folders, with what was recorded and nothing else."""

import json
from pathlib import Path

import cv2
from evaluation.replay.bags import (
    ACTION,
    IMAGE,
    JOINT_STATE,
    MAKER,
    MS,
    START_NS,
    STATUS,
    TWIST,
    arm_messages,
    write_bag,
)
import numpy as np
import pyarrow.parquet as parquet
import pytest
from training.test_bad_input import full_disk

from sara_ros.core import ParameterError, SaraError
from sara_ros.core.spec import END_EFFECTOR_DIMENSIONS
from sara_ros.evaluation.dataset.cameras import camera_name
from sara_ros.evaluation.dataset.convert import convert
from sara_ros.evaluation.dataset.plan import DatasetOptions
from sara_ros.evaluation.replay.mapping import ReplayMap
from sara_ros.training.lerobot import LeRobotRecording
from sara_ros.training.optimiser import Recipe
from sara_ros.training.recorded import RecordedConfig, train_recorded

REAL = Path(__file__).parents[4] / 'shared' / 'data' / 'g1_bottle'
FRAMES = 60
needs_data = pytest.mark.skipif(not REAL.is_dir(), reason='../shared/data is not here')


def converted(out, *bags, cameras=(), fps=0, **known):
    """Make a data set, and return its report and the folder as training reads it."""
    known = {'instruction': 'move', **known}
    options = DatasetOptions(ReplayMap.of(known), cameras, fps)
    report = convert(bags, out, options)
    return report, LeRobotRecording(out)


def robot_messages(source, index):
    """Yield the first frames of a recorded episode as a robot would have published them."""
    episode, names = source.episode(index), source.names('action')
    for row, rgb in zip(range(FRAMES), source.frames(index), strict=False):
        stamp_ns = START_NS + round(row * 1e9 / 30)
        picture = MAKER.image(stamp_ns, height=480, width=640, data=rgb.reshape(-1))
        for topic, rows in (('/joint_states', episode.states), ('/action', episode.actions)):
            yield topic, JOINT_STATE, stamp_ns + 5 * MS, MAKER.joints(stamp_ns, rows[row], names)
        yield '/image_raw', IMAGE, stamp_ns + 6 * MS, picture


@pytest.fixture(scope='module')
def robot_set(tmp_path_factory):
    """Write two episodes of a real robot as bags, and make a data set of them."""
    folder, source = tmp_path_factory.mktemp('robot'), LeRobotRecording(REAL)
    bags = [write_bag(folder / f'bag{i}', robot_messages(source, i)) for i in (1, 2)]
    return converted(folder / 'set', *bags, instruction='Pick up the yellow bottle.')


@needs_data
def test_a_real_robot_comes_back_as_it_was_recorded(robot_set):
    """States and actions to the last bit, times, and pictures but for video coding."""
    report, recording = robot_set
    source = LeRobotRecording(REAL)
    assert (report['fps'], report['frames'], recording.indices()) == (30, 2 * FRAMES, [0, 1])
    assert recording.names('observation.state') == source.names('observation.state')
    for index, original in ((0, 1), (1, 2)):
        ours, theirs = recording.episode(index), source.episode(original)
        np.testing.assert_array_equal(ours.states, theirs.states[:FRAMES])
        np.testing.assert_array_equal(ours.actions, theirs.actions[:FRAMES])
        assert ours.instruction == 'Pick up the yellow bottle.'
    frames = zip(recording.frames(1), source.frames(2), strict=False)
    gaps = [cv2.absdiff(made, recorded).mean() for made, recorded in frames]
    assert len(gaps) == FRAMES
    assert max(gaps) < 4
    assert [each['unused'] + each['repeated'] + each['held'] for each in report['bags']] == [0, 0]


@needs_data
def test_the_layout_is_that_of_lerobot(robot_set):
    """Field by field as in a folder that LeRobot wrote, but for names and numbers."""
    _, recording = robot_set

    def form(value):
        if isinstance(value, dict):
            return {key: form(item) for key, item in value.items() if key != 'names'}
        return type(value).__name__

    def read(root, name):
        return json.loads((root / 'meta' / name).read_text().splitlines()[0])

    info = (recording.root / 'meta' / 'info.json').read_text()
    renamed = json.loads(info.replace('images.front', 'images.cam_high'))
    assert form(renamed) == form(json.loads((REAL / 'meta' / 'info.json').read_text()))
    for name in ('episodes.jsonl', 'tasks.jsonl'):
        assert form(read(recording.root, name)) == form(read(REAL, name))
    ours, theirs = (read(root, 'episodes_stats.jsonl') for root in (recording.root, REAL))
    ours['stats']['observation.images.cam_high'] = ours['stats'].pop('observation.images.front')
    assert form(ours) == form(theirs)
    for name, column in theirs['stats'].items():
        for key, values in column.items():
            assert np.shape(ours['stats'][name][key]) == np.shape(values), (name, key)
    made, recorded = (
        parquet.read_table(root / 'data' / 'chunk-000' / f'episode_{index:06d}.parquet')
        for root, index in ((recording.root, 1), (REAL, 2))
    )
    assert made.schema.equals(recorded.schema)
    assert made.schema.metadata == recorded.schema.metadata
    np.testing.assert_array_equal(made['timestamp'], recorded['timestamp'][:FRAMES])
    assert made['index'].to_pylist() == list(range(FRAMES, 2 * FRAMES))
    stated = ours['stats']['observation.images.cam_high']['mean']
    seen = np.mean([frame.mean(axis=(0, 1)) for frame in recording.frames(0)], axis=0) / 255
    np.testing.assert_allclose(np.ravel(stated), seen, atol=0.01)


@needs_data
def test_a_real_robot_is_trained_on(robot_set, tmp_path):
    """The last bag is held out, and all three baselines are those of its frames."""
    recording = robot_set[1]
    options = RecordedConfig(
        'mine', recording.root, tmp_path / 'models', tmp_path / 'work',
        recipe=Recipe(steps=2, batch=2), threads=1,
    )  # fmt: skip
    metrics = json.loads((train_recorded(options) / 'policy.json').read_text())['metrics']
    assert (metrics['held_out_episodes'], metrics['held_out_frames']) == ([1], FRAMES)
    train, kept = (LeRobotRecording(REAL).episode(index) for index in (1, 2))
    actions = kept.actions[:FRAMES]
    mean = train.actions[:FRAMES].mean(axis=0)
    assert metrics['baselines'] == {
        'training_mean': pytest.approx(np.abs(actions - mean).mean()),
        'copy_state': pytest.approx(np.abs(actions - kept.states[:FRAMES]).mean()),
        'copy_previous_action': pytest.approx(np.abs(np.diff(actions, axis=0)).mean()),
    }
    assert 0 < metrics['mean_absolute_error'] < 1


def told(*changes, count=40, chunk=1):
    """Return a policy node's session: a camera, joints, its actions, and what it was told."""
    rows = []
    for row in range(count):
        stamp_ns = START_NS + row * 50 * MS
        seen_ns = stamp_ns - row % chunk * 50 * MS
        action = MAKER.action(stamp_ns + 40 * MS, 0.001 * row, observed_ns=seen_ns, hold=row == 5)
        rows += [
            ('/joint_states', JOINT_STATE, stamp_ns, MAKER.joints(stamp_ns, (0.1 * row, 0))),
            ('/image_raw', IMAGE, stamp_ns + MS, MAKER.image(stamp_ns, row, height=32, width=48)),
            ('/policy/action', ACTION, stamp_ns + 40 * MS, action),
        ]
    for row, instruction in changes:
        stamp_ns = START_NS + row * 50 * MS - 5 * MS
        rows.append(('/policy/status', STATUS, stamp_ns, MAKER.status(stamp_ns, instruction)))
    return sorted(rows, key=lambda each: each[2])


def test_a_session_has_an_episode_for_each_instruction(tmp_path):
    """As the policy node was told them; what came between is left out."""
    bag = write_bag(tmp_path / 'session', told((0, 'reach'), (20, ''), (25, 'lift')))
    report, recording = converted(tmp_path / 'set', bag, instruction='')
    episodes = [recording.episode(index) for index in recording.indices()]
    assert [each.instruction for each in episodes] == ['reach', 'lift']
    assert [len(each.actions) for each in episodes] == [20, 15]
    assert recording.names('action') == END_EFFECTOR_DIMENSIONS
    assert recording.action_frame == 'base_link'
    np.testing.assert_allclose(episodes[1].actions[:, 1], 0.001 * np.arange(25, 40), atol=1e-7)
    np.testing.assert_allclose(episodes[1].states[:, 0], 0.1 * np.arange(25, 40), atol=1e-6)
    assert report['bags'][0]['held'] == 1
    np.testing.assert_array_equal(episodes[0].actions[5], [0, 0, 0, 0, 0, 0, 0, 1])
    assert 'hold' in report['bags'][0]['problems'][0]


def test_the_steps_of_a_chunk_belong_to_the_frames_they_were_for(tmp_path):
    """All of them once belonged to the observation that they name, and the others had none."""
    bag = write_bag(tmp_path / 'session', told((0, 'reach'), chunk=4))
    report, recording = converted(tmp_path / 'set', bag, instruction='')
    assert report['bags'][0]['held'] == 1
    actions = np.delete(recording.episode(0).actions[:, 1], 5)
    np.testing.assert_allclose(actions, np.delete(0.001 * np.arange(40), 5), atol=1e-7)


def test_actions_slower_than_pictures_stand_for_the_frames_around_them(tmp_path):
    slow = [row for index, row in enumerate(arm_messages(21)) if index % 6 != 4]
    report, recording = converted(tmp_path / 'set', write_bag(tmp_path / 'arm', slow))
    assert (report['bags'][0]['held'], report['frames']) == (0, 21)
    np.testing.assert_allclose(
        recording.episode(0).actions[:, 0], 0.05 + 0.2 * (np.arange(21) // 2), atol=1e-6
    )


def test_velocities_become_displacements_of_a_frame(tmp_path):
    """What nothing records is constant, and said so."""
    rows = [row for row in arm_messages() if row[0] != '/action']
    rows += [
        ('/cmd', TWIST, row[2], MAKER.twist(START_NS + index * 50 * MS, (0.2, 0, 0)))
        for index, row in enumerate(each for each in arm_messages() if each[0] == '/action')
    ]
    bag = write_bag(tmp_path / 'servo', sorted(rows, key=lambda each: each[2]))
    report, recording = converted(tmp_path / 'set', bag, actions=[{'topic': '/cmd'}], fps=10)
    assert report['constant'] == ['terminate', 'gripper_opening']
    assert report['bags'][0]['unused'] == 10
    episode = recording.episode(0)
    assert len(episode.actions) == 10
    np.testing.assert_allclose(episode.actions[3], [0, 0.02, 0, 0, 0, 0, 0, 1], atol=1e-7)
    np.testing.assert_allclose(episode.states[:, 0], 0.2 * np.arange(10), atol=1e-6)


def test_a_gap_ends_the_episode_and_is_told(tmp_path):
    """Nobody knows what happened in it."""
    rows = arm_messages(40)
    kept = [row for row in rows if not 0.5 <= (row[2] - START_NS) / 1e9 < 1.3]
    report, recording = converted(tmp_path / 'set', write_bag(tmp_path / 'arm', kept))
    assert [len(recording.episode(index).actions) for index in recording.indices()] == [10, 14]
    (gap,) = report['bags'][0]['gaps']
    assert (gap['sec'], gap['after']) == (0.85, '1700000000.573456789')


def test_frames_before_the_first_action_and_after_the_last_are_left_out(tmp_path):
    """Between actions the last one stands, as the robot keeps to it."""
    rows = arm_messages(30)
    first = next(row for row in rows if row[0] == '/action')[2]
    without = [*range(4), 12, 13, *range(26, 30)]
    kept = [
        row for row in rows
        if row[0] != '/action' or (row[2] - first) // (50 * MS) not in without
    ]  # fmt: skip
    report, recording = converted(tmp_path / 'set', write_bag(tmp_path / 'arm', kept))
    facts = report['bags'][0]
    assert (facts['frames'], facts['held'], facts['without_action']) == (22, 2, 8)
    actions = recording.episode(0).actions
    np.testing.assert_array_equal(actions[9], actions[7])
    np.testing.assert_allclose(actions[:, 0], recording.episode(0).states[:, 0] + 0.05
                               - np.eye(22)[8] * 0.1 - np.eye(22)[9] * 0.2, atol=1e-6)  # fmt: skip


def test_two_cameras_and_chosen_joints(tmp_path):
    """Names come from the topics, order from the map."""
    rows = arm_messages()
    rows += [
        ('/wrist/image_raw', IMAGE, log_ns, MAKER.image(each.header.stamp.sec * 10**9
         + each.header.stamp.nanosec, 200, height=33, width=47))
        for topic, _, log_ns, each in arm_messages() if topic == '/image_raw'
    ]  # fmt: skip
    bag = write_bag(tmp_path / 'arm', sorted(rows, key=lambda each: each[2]))
    report, recording = converted(
        tmp_path / 'set', bag, cameras=('/wrist/image_raw', '/image_raw'), joints=['elbow']
    )
    assert report['cameras'] == ['wrist', 'front']
    assert list(recording.cameras) == ['wrist', 'front']
    assert recording.names('observation.state') == ('elbow',)
    assert recording.images(0, 32, 46).shape == (20, 32, 46, 3)
    assert abs(recording.images(0, 32, 46)[3].mean() - 200) < 6
    assert (report['episodes'], report['frames']) == (1, 20)


def test_the_rate_is_the_one_of_the_camera(tmp_path):
    bag = write_bag(tmp_path / 'arm', arm_messages(10, period_ms=40))
    report, recording = converted(tmp_path / 'set', bag)
    assert recording.fps == report['fps'] == report['bags'][0]['rate_hz'] == 25


def test_names_of_cameras():
    assert [camera_name(each) for each in (
        '/image_raw', '/wrist/image_raw', '/cam/color/image_raw/compressed', '/2d/x-y/image',
    )] == ['front', 'wrist', 'cam', 'camera_2d_x_y']  # fmt: skip


def other_size(rows):
    """Make the picture of the twelfth step larger."""
    return [
        (*row[:3], MAKER.image(START_NS + 550 * MS, height=8, width=6)) if index == 35 else row
        for index, row in enumerate(rows)
    ]


def without(topic):
    """Return what leaves a topic out."""
    return lambda rows: [row for row in rows if row[0] != topic]


@pytest.mark.parametrize('late', [False, True])
def test_a_bag_that_breaks_off_is_named_with_the_last_message(tmp_path, late):
    """No half of it is taken for the whole, also where only pictures are lost."""
    rows = [
        (*row[:3], MAKER.image(row[3].header.stamp.sec * 10**9, height=300, width=300))
        if row[0] == '/image_raw' else row
        for row in arm_messages(40)
    ]  # fmt: skip
    if late:
        rows = sorted(rows, key=lambda row: row[0] == '/image_raw')
        rows = [(*row[:2], START_NS + place * MS, row[3]) for place, row in enumerate(rows)]
    bag = write_bag(tmp_path / 'arm', rows)
    (file,) = bag.glob('*.mcap')
    content = bytearray(file.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 400_000] = b'\xff' * 400_000
    file.write_bytes(content)
    whole = write_bag(tmp_path / 'whole', arm_messages())
    with pytest.raises(SaraError, match=r'^arm: broken after topic'):
        converted(tmp_path / 'set', whole, bag)
    file.write_bytes(content[: middle + 100_000])  # nor without the end of the file
    with pytest.raises(SaraError, match=r'^arm: .*broken after topic .*`mcap recover`'):
        converted(tmp_path / 'set', whole, bag)
    assert sorted(path.name for path in tmp_path.iterdir()) == ['arm', 'whole']


@pytest.mark.parametrize(
    ('change', 'known', 'message'),
    [
        (without('/image_raw'), {}, 'arm: which camera is not clear; image topics: none'),
        (
            without('/joint_states'),
            {},
            r"'joint_positions'.*fitting: /action; name it with --topic",
        ),
        (without('/joint_states'), {'actions': [{'topic': '/other'}]}, "no topic '/other'"),
        (without('/action'), {}, r'arm: no topic records actions.*/joint_states \(sensor_msgs'),
        (lambda rows: rows, {'instruction': ''}, 'arm does not say what was to be done'),
        (lambda rows: rows, {'joints': ['wrist']}, 'no frame can be kept of 20 pictures.*lack wr'),
        (lambda rows: rows, {'topics': {'joint_positions': '/image_raw'}}, "is of type 'sensor_"),
        (
            other_size,
            {},
            r"arm: topic '/image_raw', stamp 1700000000\.673456789: camera 'front' g",
        ),
    ],
)
def test_what_cannot_be_made_is_named_and_leaves_nothing(tmp_path, change, known, message):
    bag = write_bag(tmp_path / 'arm', change(arm_messages()))
    with pytest.raises(SaraError, match=message):
        converted(tmp_path / 'set', bag, **known)
    assert [path.name for path in tmp_path.iterdir()] == ['arm']


def test_motion_in_another_frame_is_refused(tmp_path):
    bag = write_bag(tmp_path / 'session', told((0, 'reach')))
    rows = told((0, 'reach'))
    for row in rows:
        if row[1] == ACTION:
            row[3].header.frame_id = 'tool'
    other = write_bag(tmp_path / 'other', rows)
    with pytest.raises(ParameterError, match=r"other: topic '/policy/action'.*in frame 'tool'"):
        converted(tmp_path / 'set', bag, other)


def test_steps_at_another_rate_than_frames_are_refused(tmp_path):
    """Half of a displacement is another displacement."""
    bag = write_bag(tmp_path / 'session', told((0, 'reach')))
    with pytest.raises(ParameterError, match=r"'/policy/action'.*at 20\.0 Hz.*give --fps 20"):
        converted(tmp_path / 'set', bag, fps=10)


def test_a_folder_that_is_there_is_not_touched(tmp_path):
    bag = write_bag(tmp_path / 'arm', arm_messages(4))
    converted(tmp_path / 'set', bag)
    before = sorted(path.stat().st_mtime_ns for path in (tmp_path / 'set').rglob('*'))
    with pytest.raises(ParameterError, match='set is there already'):
        converted(tmp_path / 'set', bag)
    assert sorted(path.stat().st_mtime_ns for path in (tmp_path / 'set').rglob('*')) == before


def test_a_disk_that_fills_leaves_nothing(tmp_path):
    bag = write_bag(tmp_path / 'arm', arm_messages())
    with full_disk(1000), pytest.raises(ParameterError, match='set cannot be written'):
        converted(tmp_path / 'set', bag)
    assert [path.name for path in tmp_path.iterdir()] == ['arm']
