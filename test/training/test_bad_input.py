"""Data that is broken and disks that fill: what is said, and what is left."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
import resource

import numpy as np
import pytest
import torch
from torch import nn
from training.test_lerobot import CAMERA, recording

from sara_ros.core import ParameterError
from sara_ros.policies.checkpoint import read
from sara_ros.training.capture import VIEWS, Capture, require_fit
from sara_ros.training.frames import has_frames, load_frames, save_shard
from sara_ros.training.lerobot import LeRobotRecording
from sara_ros.training.loop import run_loop
from sara_ros.training.optimiser import Recipe
from sara_ros.training.pct_tabletop import pct_config
from sara_ros.training.record import finish_record
from sara_ros.training.recorded import RecordedConfig, train_recorded

__all__ = ['recording']

MODELS = Path(__file__).parents[2] / 'models'


@contextmanager
def full_disk(free_bytes: int) -> Iterator[None]:
    """Let files become no larger than this, as the last ones on a disk that fills."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (free_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def files(folder):
    """Return the names of all files below ``folder``."""
    return sorted(path.name for path in folder.rglob('*') if path.is_file())


def rows(count=3, **changes):
    """Return rows of frames."""
    return [{'task': np.int64(0), 'state': np.zeros(8, np.float32), **changes}] * count


def train(folder, until=None):
    """Train a layer whose state takes 50 KB."""
    torch.manual_seed(0)
    layer = nn.Linear(64, 64)

    def losses(rng, batch):
        return {'loss': layer(torch.ones(batch, 64)).square().mean()}

    recipe = Recipe(steps=20, batch=1, warm_up_steps=2)
    return run_loop(layer, losses, recipe, folder, settings={}, until=until, save_every=5)


def test_disk_that_fills_while_training(tmp_path):
    """The last state stays whole and nothing else is left; with room again the run goes on."""
    whole = train(tmp_path / 'whole')
    work = tmp_path / 'work'
    train(work, until=10)
    before = (work / 'state.safetensors').read_bytes()
    with full_disk(20_000), pytest.raises(ParameterError, match=r'state\.safetensors cannot be w'):
        train(work)
    assert files(work) == ['curve.json', 'state.safetensors']
    assert (work / 'state.safetensors').read_bytes() == before
    again = train(work)
    for name, tensor in whole.average.items():
        assert torch.equal(tensor, again.average[name])


def test_disk_that_fills_while_collecting(tmp_path):
    """A shard is there as a whole or not at all."""
    save_shard(tmp_path, 0, rows())
    large = rows(front=np.zeros((100, 100, 3), np.uint8))
    with full_disk(20_000), pytest.raises(ParameterError, match=r'File too large.*Make room'):
        save_shard(tmp_path, 1, large)
    assert files(tmp_path) == ['frames-00000.npz']
    assert has_frames(tmp_path, 3, 3)
    assert not has_frames(tmp_path, 6, 3)


def test_disk_that_fills_at_the_record(tmp_path):
    """The record of an earlier run stays."""
    train(tmp_path)
    finish_record(tmp_path, read(MODELS, 'rt2-g1'), {})
    before = (tmp_path / 'record.json').read_bytes()
    with full_disk(300), pytest.raises(ParameterError, match=r'record\.json cannot be written'):
        finish_record(tmp_path, read(MODELS, 'rt2-tabletop'), {})
    assert (tmp_path / 'record.json').read_bytes() == before


@pytest.mark.parametrize('content', [b'', b'PK\x03\x04 half', b'not an archive at all'])
def test_broken_shards(tmp_path, content):
    """A file that is cut off is named."""
    save_shard(tmp_path, 0, rows())
    (tmp_path / 'frames-00001.npz').write_bytes(content)
    with pytest.raises(ParameterError, match=r'frames-00001\.npz cannot be read.*collect it agai'):
        load_frames(tmp_path)


def test_cut_off_shard(tmp_path):
    """So is one whose end is missing."""
    path = save_shard(tmp_path, 0, rows(200))
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(ParameterError, match=r'frames-00000\.npz cannot be read'):
        load_frames(tmp_path)


def test_frames_that_are_not_finite(tmp_path):
    """NaN is found when frames are read, not after the first step of training."""
    save_shard(tmp_path, 0, [*rows(2), *rows(1, state=np.full(8, np.nan, np.float32))])
    with pytest.raises(ParameterError, match=r"frames-00000\.npz: 'state' is not finite in row 2"):
        load_frames(tmp_path)


def test_arrays_of_other_lengths(tmp_path):
    """A row is a frame in every array."""
    np.savez(tmp_path / 'frames-00000.npz', task=np.zeros(3), state=np.zeros((2, 8)))
    with pytest.raises(ParameterError, match=r"has 3 tasks, but \{'state': 2\}"):
        load_frames(tmp_path)


def test_frames_of_another_recipe(tmp_path):
    """A work folder of another architecture has other shapes; both are named."""
    frames = {
        'state': np.zeros((2, 8)), 'labels': np.zeros((2, 16, 8)),
        **{v.name: np.zeros((2, v.height, v.width, 3)) for v in VIEWS},
        'counts': np.zeros((2, 124, 5)),
    }  # fmt: skip
    require_fit(frames, Capture(), tmp_path)
    fine = Capture(views=(replace(VIEWS[0], overlap=2), VIEWS[1]))
    with pytest.raises(ParameterError, match=r"'counts' of the frames is \(124, 5\), this run ne"):
        require_fit(frames, fine, tmp_path)
    with pytest.raises(ParameterError, match="'points' of the frames is missing"):
        require_fit(frames, Capture(images=False, points=pct_config()), tmp_path)


@pytest.mark.parametrize(
    ('content', 'message'),
    [(b'{"settings"', 'cannot read .*curve.json'), (b'[]', 'is not the curve of a run')],
)
def test_curve_that_cannot_be_read(tmp_path, content, message):
    """The file is named, and what to do."""
    train(tmp_path, until=5)
    (tmp_path / 'curve.json').write_bytes(content)
    with pytest.raises(ParameterError, match=message):
        train(tmp_path)


def test_state_of_another_network(tmp_path):
    """A state that does not fit is named; it stays as it is."""
    train(tmp_path, until=5)
    path = tmp_path / 'state.safetensors'
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ParameterError, match=r'state\.safetensors is not a state of this run'):
        train(tmp_path)


@pytest.mark.parametrize('held_out', [True, False])
def test_video_that_cannot_be_decoded(recording, tmp_path, held_out):
    """It is found before the training, also where only the held-out error needs it."""
    episode = 3 if held_out else 0
    path = recording / f'videos/chunk-000/{CAMERA}/episode_{episode:06d}.mp4'
    path.write_bytes(b'no video' * 100)
    config = RecordedConfig('waver', recording, tmp_path / 'models', tmp_path / 'work', held_out=1)
    with pytest.raises(ParameterError, match=rf'episode_00000{episode}\.mp4 cannot be decoded'):
        train_recorded(config)
    assert not (tmp_path / 'work').exists()


def test_table_that_cannot_be_read(recording):
    """A parquet file that is cut off is named."""
    path = recording / 'data/chunk-000/episode_000001.parquet'
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(ParameterError, match=r'episode_000001\.parquet cannot be read'):
        LeRobotRecording(recording).episode(1)
