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
EPISODES = 'meta/episodes/chunk-000/file-000.parquet'
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


@pytest.mark.parametrize(
    ('relative', 'column', 'values', 'message'),
    [
        ('meta/tasks.parquet', 'task_index', ['0', '1'],
         r"tasks\.parquet, row 0\.task_index: expected a whole number, found '0'; correct the f"),
        ('meta/tasks.parquet', '__index_level_0__', ['wave', None],
         r'tasks\.parquet, row 1\.__index_level_0__: expected a string, found None'),
        ('meta/tasks.parquet', 'task_index', [3, 4],
         r"file-000\.parquet: 'task_index' is 0, .*tasks\.parquet has 3, 4; add the task there"),
        (EPISODES, 'length', ['8', '5', '9'],
         r"meta/episodes: column 'length' holds '8'; write numbers there"),
        (EPISODES, 'data/file_index', [float('inf')] * 3, r"'data/file_index' holds inf; write"),
        (EPISODES, 'episode_index', ['a', 'b', 'c'], r"'episode_index' holds 'a'; write numbers"),
        ('data/chunk-000/file-000.parquet', 'action', [0.5] * 13,
         r"file-000\.parquet: column 'action' is of type double; write a list of 2 numbers a row"),
        ('data/chunk-000/file-000.parquet', 'episode_index', None,
         r'file-000\.parquet cannot be read: No match.*\(episode_index\).*; restore the file$'),
    ],
)  # fmt: skip
def test_columns_of_another_kind(shared, relative, column, values, message):
    """They ended in tracebacks."""
    path = shared / relative
    table = parquet.read_table(path)
    table, place = table.drop_columns([column]), table.column_names.index(column)
    if values is not None:
        table = table.add_column(place, column, pa.array(values))
    parquet.write_table(table, path)
    with pytest.raises(ParameterError, match=message):
        LeRobotRecording(shared).episode(0)


@pytest.mark.parametrize('relative', ['meta/tasks.parquet', EPISODES])
def test_meta_that_cannot_be_read(shared, relative):
    """It ended in a traceback."""
    (shared / relative).write_bytes(b'PAR1')
    with pytest.raises(ParameterError, match=rf'{relative} cannot be read: .*; restore the file'):
        LeRobotRecording(shared)


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'data_path': 3}, r'info\.json\.data_path: expected a string, found 3'),
        (
            {'data_path': '{episode_index}'},
            r"'data_path' is '\{epi.*chunk_index, file_index in br",
        ),
        ({'video_path': None}, r'info\.json\.video_path: expected a string, found None'),
        ({'features': []}, r'info\.json\.features: expected an object, found \[\]'),
    ],
)
def test_info_that_is_not_complete(shared, changes, message):
    """Its keys are those of either version."""
    path = shared / 'meta' / 'info.json'
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    with pytest.raises(ParameterError, match=message):
        LeRobotRecording(shared).indices()
