"""Up-training of a model that was trained on a recording."""

import shutil

import pytest
from training.test_lerobot import recording  # noqa: F401 - a fixture
from uptraining.toys import config

from sara_ros.core import ParameterError
from sara_ros.policies import load_policy, verify
from sara_ros.training.lerobot import LeRobotRecording
from sara_ros.training.optimiser import Recipe
from sara_ros.training.recorded import RecordedConfig, held_out_error, train_recorded, videos_of
from sara_ros.uptraining.pipeline import uptrain


@pytest.fixture
def waver(recording, tmp_path):  # noqa: F811
    """Train a model on a made-up recording; returns its folder with ``recording`` inside."""
    options = RecordedConfig(
        'toy', recording, tmp_path / 'models', tmp_path / 'work', held_out=1,
        recipe=Recipe(steps=2, batch=2), threads=1,
    )  # fmt: skip
    train_recorded(options)
    return tmp_path


def test_run(waver):
    """The errors are those of the served policy on the held-out episode."""
    data = waver / 'recording'
    result = uptrain(config(waver, transfer_steps=2, finetune_steps=2, data=data))
    assert result.variants['softmax'].frames == 12
    source = LeRobotRecording(data)
    episodes = [source.episode(3)]
    for model_id, variant in (('toy', 'softmax'), ('toy-sara', 'finetuned')):
        policy = load_policy(waver / 'models', model_id)
        error = held_out_error(
            policy, episodes, [videos_of(source, episode) for episode in episodes]
        )
        assert result.variants[variant].mean_absolute_error == pytest.approx(error, rel=1e-4)
    training = verify(waver / 'models', 'toy-sara').checkpoint.training
    assert training['data'] == {'recording': 'recording', 'episodes': [0, 1], 'frames': 24}
    assert str(waver) not in (result.model / 'policy.json').read_text()


def test_recording_is_asked_for(waver):
    """Frames of a real robot cannot be collected again."""
    with pytest.raises(ParameterError, match="recording 'recording'; give its folder with --data"):
        uptrain(config(waver))


def test_another_recording(waver):
    """Its action ranges are not those of the model."""
    data = waver / 'recording'
    for path in (data / 'data' / 'chunk-000').iterdir():
        if path.name == 'episode_000000.parquet':
            shutil.copy(path.with_name('episode_000003.parquet'), path)
    with pytest.raises(ParameterError, match="is not the recording 'recording'"):
        uptrain(config(waver, data=data))


def test_missing_episode(waver):
    """An episode that the model states is named."""
    data = waver / 'recording'
    (data / 'data' / 'chunk-000' / 'episode_000003.parquet').unlink()
    with pytest.raises(ParameterError, match='lacks episode 3'):
        uptrain(config(waver, data=data))
