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


@pytest.mark.skipif(not REAL.is_dir(), reason='the shared G1 recording is not on this machine')
def test_real_recording():
    """A recording made by others opens: 8 of 100 episodes, 26 joints, AV1 video."""
    source = LeRobotRecording(REAL)
    assert len(source.indices()) == 8
    episode = source.episode(10)
    assert episode.states.shape == episode.actions.shape == (290, 26)
    assert episode.instruction == 'Pick up the yellow bottle on the table.'
