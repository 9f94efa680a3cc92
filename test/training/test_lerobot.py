"""LeRobot v2.1 recordings: what is read, and what is said when something is missing."""

import json
from pathlib import Path

import av
import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from sara_ros.core import ParameterError
from sara_ros.policies import load_policy
from sara_ros.training.baselines import baseline_errors
from sara_ros.training.lerobot import LeRobotRecording
from sara_ros.training.optimiser import Recipe
from sara_ros.training.recorded import RecordedConfig, train_recorded
from sara_ros.training.recorded_spec import recorded_spec
from sara_ros.training.recorded_targets import JointTargets

JOINTS = ['shoulder', 'elbow', 'wrist']
CAMERA = 'observation.images.head'
REAL = Path(__file__).parents[3] / 'shared' / 'data' / 'g1_bottle'


def write_episode(root, index, *, states=None, frames=12, size=(32, 48)):
    """Write the parquet file and the video of an episode of twelve rows."""
    rng = np.random.default_rng(index)
    states = rng.normal(0, 0.1, (12, 3)).tolist() if states is None else states
    actions = [[value + 0.01 for value in row] for row in states]
    columns = {'observation.state': states, 'action': actions, 'task_index': [0] * len(states)}
    path = root / f'data/chunk-000/episode_{index:06d}.parquet'
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(pa.table(columns), path)
    video = root / f'videos/chunk-000/{CAMERA}/episode_{index:06d}.mp4'
    video.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(video), 'w') as container:
        stream = container.add_stream('mpeg4', rate=10)
        stream.height, stream.width = size
        stream.pix_fmt = 'yuv420p'
        for number in range(frames):
            image = np.full((*size, 3), 20 * number, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format='rgb24')))
        container.mux(stream.encode())


@pytest.fixture
def recording(tmp_path):
    """Write a recording of three episodes, of which meta describes four."""
    root = tmp_path / 'recording'
    (root / 'meta').mkdir(parents=True)
    vector = {'dtype': 'float32', 'shape': [3], 'names': [JOINTS]}
    info = {
        'codebase_version': 'v2.1',
        'fps': 10,
        'total_episodes': 4,
        'chunks_size': 1000,
        'data_path': 'data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet',
        'video_path': (
            'videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4'
        ),
        'features': {
            'observation.state': vector,
            'action': vector,
            CAMERA: {'dtype': 'video', 'shape': [32, 48, 3], 'names': None},
        },
    }
    (root / 'meta' / 'info.json').write_text(json.dumps(info))
    task = {'task_index': 0, 'task': 'wave a hand'}
    (root / 'meta' / 'tasks.jsonl').write_text(json.dumps(task) + '\n')
    for index in (0, 1, 3):
        write_episode(root, index)
    return root


def test_reads(recording):
    """Episodes that are not there are left out; frames come in order and averaged down."""
    source = LeRobotRecording(recording)
    assert source.indices() == [0, 1, 3]
    assert source.names('action') == tuple(JOINTS)
    episode = source.episode(1)
    assert episode.states.shape == (12, 3)
    assert episode.instruction == 'wave a hand'
    images = source.images(1, 16, 24)
    assert images.shape == (12, 16, 24, 3)
    assert abs(int(images[6].mean()) - 120) < 8


def test_baselines(recording):
    """The three errors of predictions that need no model."""
    source = LeRobotRecording(recording)
    train, held_out = [source.episode(0)], [source.episode(1), source.episode(3)]
    errors = baseline_errors(train, held_out, JointTargets())
    assert errors['copy_state'] == pytest.approx(0.01, abs=1e-6)
    actions = np.concatenate([episode.actions for episode in held_out])
    expected = np.abs(actions - train[0].actions.mean(axis=0)).mean()
    assert errors['training_mean'] == pytest.approx(expected)
    steps = [np.abs(np.diff(episode.actions, axis=0)) for episode in held_out]
    assert errors['copy_previous_action'] == pytest.approx(np.concatenate(steps).mean())


def test_trains_from_a_recording(recording, tmp_path):
    """The command leaves a model with held-out errors beside the baselines."""
    config = RecordedConfig(
        'waver', recording, tmp_path / 'models', tmp_path / 'work', held_out=1,
        recipe=Recipe(steps=2, batch=2), threads=1,
    )  # fmt: skip
    folder = train_recorded(config)
    policy = load_policy(tmp_path / 'models', 'waver')
    assert policy.spec.action.names == tuple(JOINTS)
    assert policy.spec.action.rate_hz == 10
    data = json.loads((folder / 'policy.json').read_text())
    assert data['metrics']['held_out_episodes'] == [3]
    assert data['metrics']['baselines']['copy_state'] > 0
    assert str(tmp_path) not in (folder / 'policy.json').read_text()


def test_missing_video(recording, tmp_path):
    """Nothing is left behind when a video is missing."""
    (recording / f'videos/chunk-000/{CAMERA}/episode_000001.mp4').unlink()
    config = RecordedConfig('waver', recording, tmp_path / 'models', tmp_path / 'work', held_out=1)
    with pytest.raises(ParameterError, match=r'episode_000001\.mp4 is missing'):
        train_recorded(config)
    assert not (tmp_path / 'models').exists()


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'states': [[0.0, 1.0]] * 12}, "'observation.state' has a row of 2, meta states 3"),
        ({'states': [[0.0, float('nan'), 1.0]] * 12}, 'is not finite in row 0'),
        ({'frames': 5}, 'episode 0 has 5 video frames and 12 rows'),
        ({'size': (48, 64)}, 'frames are 64x48, meta states 48x32'),
    ],
)
def test_broken_episodes(recording, tmp_path, changes, message):
    """The error names the file, what was found and what meta states."""
    write_episode(recording, 0, **changes)
    config = RecordedConfig('waver', recording, tmp_path / 'models', tmp_path / 'work', held_out=1)
    with pytest.raises(ParameterError, match=message):
        train_recorded(config)


def test_not_a_recording(recording, tmp_path):
    """Folders and cameras that are not there are named."""
    with pytest.raises(ParameterError, match=r'cannot read .*info\.json'):
        LeRobotRecording(tmp_path / 'nothing')
    with pytest.raises(ParameterError, match="no camera 'left'; it has: observation"):
        LeRobotRecording(recording, ['left'])
    path = recording / 'meta' / 'info.json'
    path.write_text(json.dumps({**json.loads(path.read_text()), 'codebase_version': 'v1.6'}))
    with pytest.raises(ParameterError, match=r"version is 'v1\.6'; v2\.1 and v3\.0 are supported"):
        LeRobotRecording(recording)


def alter(root, *keys, to=None):
    """Change what ``meta/info.json`` has at ``keys``; without a value it is left out."""
    path = root / 'meta' / 'info.json'
    info = json.loads(path.read_text())
    place = info
    for key in keys[:-1]:
        place = place[key]
    if to is None:
        del place[keys[-1]]
    else:
        place[keys[-1]] = to
    path.write_text(json.dumps(info))


def opened(root):
    """Return the episodes and what their actions are called."""
    source = LeRobotRecording(root)
    return source.indices(), source.names('action')


@pytest.mark.parametrize(
    ('keys', 'to', 'message'),
    [
        (('fps',), None, r"info\.json: 'fps' is missing; correct the file"),
        (('fps',), 'ten', r"info\.json\.fps: expected a number, found 'ten'; correct the file"),
        (('fps',), 0, r"info\.json: 'fps' is 0; state the frames per second"),
        (('fps',), float('nan'), r"info\.json: 'fps' is nan; state the frames per second"),
        (('features',), None, r"info\.json: 'features' is missing"),
        (('features',), [], r'info\.json\.features: expected an object, found \[\]'),
        (('features', 'action'), None, r"info\.json describes no 'action'; it must be recorded"),
        (('features', 'action'), 7, r'info\.json\.features\.action: expected an object, found 7'),
        (('features', 'action', 'dtype'), None, r"features\.action: 'dtype' is missing"),
        (('features', 'action', 'shape'), [], r"shape of 'action' is \[\]; state how many numb"),
        (('features', 'action', 'names'), ['a'] * 3, r"dimensions of 'action' 'a'; tell them ap"),
        (('features', 'action', 'info'), 'x', r'features\.action\.info: expected an object, f'),
        (('features', 'observation.state'), None, r"describes no 'observation\.state'"),
        (('features', CAMERA), None, r"info\.json describes no feature of dtype 'video'; record"),
        (('features', CAMERA, 'shape'), None, r"observation\.images\.head: 'shape' is missing"),
        (('features', CAMERA, 'shape'), [0, 48], r"head' is \[0, 48\]; state height and width"),
        (('total_episodes',), None, r"info\.json: 'total_episodes' is missing"),
        (('total_episodes',), 0, 'none of 0 episodes has its parquet file$'),
        (('chunks_size',), None, r"info\.json: 'chunks_size' is missing"),
        (('chunks_size',), 0, r"'chunks_size' is 0; state the episodes of a folder"),
        (('data_path',), None, r"info\.json: 'data_path' is missing"),
        (
            ('data_path',),
            '{chunk}',
            r"'data_path' is '\{chunk\}'.*with episode_chunk, episode_ind",
        ),
        (('data_path',), 'x', r'none of 4 episodes has its parquet file, the first .*/x$'),
        (('video_path',), 3, r'info\.json\.video_path: expected a string, found 3'),
    ],
)
def test_info_that_is_not_complete(recording, keys, to, message):
    """Most ended in a traceback, as KeyError: 'fps', or named no file."""
    alter(recording, *keys, to=to)
    with pytest.raises(ParameterError, match=message):
        opened(recording)


@pytest.mark.parametrize(
    ('column', 'values', 'message'),
    [
        ('action', [0.5], r"column 'action' is of type double; write a list of 3 numbers a row"),
        ('action', ['up'], r"column 'action' is of type string; write a list of 3 numbers a row"),
        ('action', [['a', 'b', 'c']], r"'action' is of type list<element: string>; write a list"),
        ('task_index', [9], r"'task_index' is 9, .*tasks\.jsonl has 0; add the task there"),
        ('task_index', [[0]], r"'task_index' is \[0\], .*tasks\.jsonl has 0; add the task there"),
    ],
)
def test_columns_of_another_kind(recording, column, values, message):
    """Scalars ended in a traceback, and an unknown task as an empty instruction."""
    path = recording / 'data/chunk-000/episode_000001.parquet'
    table = parquet.read_table(path)
    place = table.column_names.index(column)
    parquet.write_table(table.set_column(place, column, pa.array(values * 12)), path)
    with pytest.raises(ParameterError, match=rf'episode_000001\.parquet: .*{message}'):
        LeRobotRecording(recording).episode(1)


@pytest.mark.parametrize(
    ('line', 'message'),
    [
        ('{"task_index": 1, ', r'tasks\.jsonl, line 3: cannot read the JSON: .*; correct it'),
        ('[]', r'tasks\.jsonl, line 3: expected an object, found list; correct the file'),
        ('{"task": "go"}', r"tasks\.jsonl, line 3: 'task_index' is missing; correct the file"),
        ('{"task_index": "1"}', r"line 3\.task_index: expected a whole number, found '1'"),
    ],
)
def test_tasks_that_cannot_be_read(recording, line, message):
    """It ended in a traceback."""
    with (recording / 'meta' / 'tasks.jsonl').open('a') as file:
        file.write(f'\n{line}\n')
    with pytest.raises(ParameterError, match=message):
        LeRobotRecording(recording)


def test_tasks_may_hold_separators_of_lines(recording):
    """A broken line was seen where JSON has none."""
    path = recording / 'meta' / 'tasks.jsonl'
    path.write_text('{"task_index": 0, "task": "wave\u2028twice"}\n', encoding='utf-8')
    assert LeRobotRecording(recording).episode(0).instruction == 'wave\u2028twice'


@pytest.mark.parametrize('task', [None, ' ! '])
def test_training_without_an_instruction(recording, task):
    """Said was only that the instruction is empty; replay may be given another one."""
    path = recording / 'meta' / 'tasks.jsonl'
    path.unlink()
    if task:
        path.write_text(json.dumps({'task_index': 0, 'task': task}))
    source = LeRobotRecording(recording)
    message = rf"episode 1 has the instruction '{task or ''}'; give its task words in .*\.jsonl"
    with pytest.raises(ParameterError, match=message):
        recorded_spec('waver', source, [source.episode(1)], 0.1)


@pytest.mark.skipif(not REAL.is_dir(), reason='the shared G1 recording is not on this machine')
def test_real_recording():
    """A recording made by others opens: 8 of 100 episodes, 26 joints, AV1 video."""
    source = LeRobotRecording(REAL)
    assert len(source.indices()) == 8
    episode = source.episode(10)
    assert episode.states.shape == episode.actions.shape == (290, 26)
    assert episode.instruction == 'Pick up the yellow bottle on the table.'
