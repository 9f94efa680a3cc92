"""LeRobot v3.0 recordings, in which files hold several episodes."""

import json

import av
import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from sara_ros.core import ParameterError
from sara_ros.training.lerobot import LeRobotRecording

CAMERA = 'observation.images.head'
LENGTHS = (8, 5, 9)
JOINTS = ['shoulder', 'elbow']


def write_table(root, relative, columns):
    path = root / relative
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(pa.table(columns), path)


def write_video(path, levels):
    """Write grey frames at 10 Hz, with few key frames."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), 'w') as container:
        stream = container.add_stream('mpeg4', rate=10, options={'g': '6'})
        stream.width, stream.height, stream.pix_fmt = 48, 32, 'yuv420p'
        for level in levels:
            image = np.full((32, 48, 3), level, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format='rgb24')))
        container.mux(stream.encode())


@pytest.fixture
def shared(tmp_path):
    """Write three episodes: two in the first file of data and video, one in the second."""
    root = tmp_path / 'shared'
    vector = {'dtype': 'float32', 'shape': [2], 'names': JOINTS}
    info = {
        'codebase_version': 'v3.0', 'fps': 10, 'total_episodes': 3, 'chunks_size': 1000,
        'data_path': 'data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet',
        'video_path': 'videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4',
        'features': {
            'observation.state': vector, 'action': vector,
            CAMERA: {'dtype': 'video', 'shape': [32, 48, 3], 'names': None},
        },
    }  # fmt: skip
    (root / 'meta').mkdir(parents=True)
    (root / 'meta' / 'info.json').write_text(json.dumps(info))
    tasks = {'task_index': [0, 1], '__index_level_0__': ['wave', 'point']}
    write_table(root, 'meta/tasks.parquet', tasks)
    levels = iter(range(20, 250, 10))
    for file, episodes in enumerate(((0, 1), (2,))):
        indices = np.repeat(episodes, [LENGTHS[each] for each in episodes])
        states = [[float(each), float(row)] for row, each in enumerate(indices)]
        write_table(root, f'data/chunk-000/file-{file:03d}.parquet', {
            'episode_index': indices.tolist(), 'task_index': (indices == 1).astype(int).tolist(),
            'observation.state': states, 'action': states,
        })  # fmt: skip
        path = root / f'videos/{CAMERA}/chunk-000/file-{file:03d}.mp4'
        write_video(path, [next(levels) for _ in indices])
    write_table(root, 'meta/episodes/chunk-000/file-000.parquet', {
        'episode_index': [0, 1, 2], 'length': list(LENGTHS),
        'data/chunk_index': [0, 0, 0], 'data/file_index': [0, 0, 1],
        f'videos/{CAMERA}/chunk_index': [0, 0, 0], f'videos/{CAMERA}/file_index': [0, 0, 1],
        f'videos/{CAMERA}/from_timestamp': [0.0, 0.8, 0.0], 'stats/action/mean': [[0.0]] * 3,
    })  # fmt: skip
    return root


@pytest.mark.parametrize(
    ('index', 'instruction', 'first_level'), [(0, 'wave', 20), (1, 'point', 100), (2, 'wave', 150)]
)
def test_an_episode_is_its_part_of_the_files(shared, index, instruction, first_level):
    source = LeRobotRecording(shared)
    assert source.indices() == [0, 1, 2]
    episode = source.episode(index)
    assert episode.instruction == instruction
    assert episode.states.shape == (LENGTHS[index], 2)
    assert set(episode.states[:, 0]) == {index}
    levels = [frame.mean() for frame in source.frames(index)]
    np.testing.assert_allclose(levels, first_level + 10 * np.arange(LENGTHS[index]), atol=4)


def test_names_may_be_grouped(shared):
    path = shared / 'meta' / 'info.json'
    info = json.loads(path.read_text())
    info['features']['action']['names'] = {'motors': JOINTS}
    path.write_text(json.dumps(info))
    assert LeRobotRecording(shared).names('action') == tuple(JOINTS)


def test_an_episode_whose_file_is_not_here_is_left_out(shared):
    (shared / 'data/chunk-000/file-001.parquet').unlink()
    assert LeRobotRecording(shared).indices() == [0, 1]


def test_rows_that_are_missing_are_counted(shared):
    path = shared / 'data/chunk-000/file-000.parquet'
    parquet.write_table(parquet.read_table(path).slice(0, 10), path)
    with pytest.raises(ParameterError, match='episode 1 has 2 rows, meta states 5'):
        LeRobotRecording(shared).episode(1)


def test_meta_without_a_column_is_named(shared):
    path = shared / 'meta/episodes/chunk-000/file-000.parquet'
    table = parquet.read_table(path)
    parquet.write_table(table.drop_columns(['data/file_index']), path)
    with pytest.raises(ParameterError, match="column 'data/file_index' is missing or empty"):
        LeRobotRecording(shared).episode(0)
    path.unlink()
    with pytest.raises(ParameterError, match='holds no parquet file'):
        LeRobotRecording(shared)
