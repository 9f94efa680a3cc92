"""Folders of frames: whose they are, and what is said when they cannot be used."""

from __future__ import annotations

from dataclasses import replace
import json
from pathlib import Path

from policies import small_models
import pytest

from sara_ros.cli.main import main
from sara_ros.core import ParameterError
from sara_ros.training.capture import Capture
from sara_ros.training.collect import CollectConfig, collect
from sara_ros.training.dagger import DaggerConfig, collect_dagger
from sara_ros.training.frames import load_frames
from sara_ros.training.pct_tabletop import pct_config
from sara_ros.training.scenes import DAGGER_END, DAGGER_SEEDS, TRAINING_SEEDS
from sara_ros.training.shards import SETTINGS_FILE, ShardPlan, claim_folder

MODELS = Path(__file__).parents[2] / 'models'


def test_a_folder_keeps_to_the_settings_it_began_with(tmp_path: Path) -> None:
    folder = tmp_path / 'frames'
    claim_folder(folder, {'seed': 1, 'size': (2, 3)})
    claim_folder(folder, {'seed': 1, 'size': (2, 3)})
    with pytest.raises(ParameterError, match='of another collection: seed 1, not 2'):
        claim_folder(folder, {'seed': 2, 'size': (2, 3)})
    assert json.loads((folder / SETTINGS_FILE).read_text()) == {'seed': 1, 'size': [2, 3]}


def test_settings_that_came_later_do_not_make_a_folder_foreign(tmp_path: Path) -> None:
    claim_folder(tmp_path, {'seed': 1, 'rules': {'steps': 70}})
    claim_folder(tmp_path, {'seed': 1, 'rules': {'steps': 70, 'kept': 1.0}, 'new': True})
    with pytest.raises(ParameterError, match=r'rules\.steps 70, not 50'):
        claim_folder(tmp_path, {'seed': 1, 'rules': {'steps': 50}})


def test_a_file_in_the_place_of_a_folder(tmp_path: Path) -> None:
    path = tmp_path / 'frames'
    path.write_text('mine')
    with pytest.raises(ParameterError, match='frames is a file; give a folder'):
        claim_folder(path, {})
    assert path.read_text() == 'mine'


def test_a_settings_file_that_is_broken(tmp_path: Path) -> None:
    (tmp_path / SETTINGS_FILE).write_text('{')
    with pytest.raises(ParameterError, match=r'settings\.json cannot be read'):
        claim_folder(tmp_path, {})


def test_numbers_are_checked(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match='frames is 0; must be at least 1'):
        ShardPlan('x', tmp_path, 0, 1, 1, {})
    with pytest.raises(ParameterError, match='seed is 4; collections have 0 to 3'):
        CollectConfig(tmp_path, seed=4)
    assert CollectConfig(tmp_path, frames=2_000_000, seed=3).seeds[1] < DAGGER_SEEDS
    with pytest.raises(ParameterError, match='2500001; the collection has seeds for 2500000'):
        CollectConfig(tmp_path, frames=2_500_001)
    assert CollectConfig(tmp_path, frames=2_500_000, seed=3).seeds[1] == DAGGER_SEEDS - 1


@pytest.mark.parametrize(
    ('numbers', 'message'),
    [
        ({'seed': -5}, 'seed is -5; rounds have 0 to 194'),
        ({'seed': 195}, 'seed is 195; rounds have 0 to 194'),
        ({'frames': 500_001}, 'frames is 500001 in shards of 500; a round has seeds for 1000 sh'),
        ({'frames': 1001, 'shard': 1}, 'frames is 1001 in shards of 1; a round has seeds for'),
        ({'shard': 10_001}, 'in shards of 10001; .* 1000 shards of at most 10000, change either'),
        ({'shard': 0}, 'shard is 0; must be at least 1'),
        ({'frames': -1}, 'frames is -1; must be at least 1'),
    ],
)
def test_a_round_keeps_to_its_own_seeds(
    tmp_path: Path, numbers: dict[str, int], message: str
) -> None:
    """Seed -5 once played the seeds that evaluation plays, and long rounds those of the next."""
    with pytest.raises(ParameterError, match=message):
        DaggerConfig(tmp_path, MODELS, 'any', **{'frames': 4000, 'capture': Capture(), **numbers})


def test_the_rounds_follow_each_other(tmp_path: Path) -> None:
    seeds = [
        DaggerConfig(tmp_path, MODELS, 'any', 500_000, Capture(), seed=seed).seeds
        for seed in (0, 1, 194)
    ]
    assert seeds[0] == (DAGGER_SEEDS, seeds[1][0] - 1)
    assert seeds[2][1] == DAGGER_END - 1


def test_frames_of_another_kind_are_refused_before_anything_is_collected(tmp_path: Path) -> None:
    config = CollectConfig(tmp_path, frames=4, shard=4)
    claim_folder(tmp_path, config.settings)
    other = replace(config, capture=Capture(images=False, points=pct_config()))
    with pytest.raises(ParameterError, match='of another collection: capture'):
        collect(other)


@pytest.mark.parametrize(
    ('model', 'capture', 'message'),
    [
        ('pct-tabletop', Capture(), "needs 'points' .* which these frames do not hold"),
        ('rt2-tabletop', Capture(images=False), "needs 'front' .* which these frames do not hold"),
        ('rt2-g1', Capture(), 'which the tabletop does not have'),
    ],
)
def test_a_learner_that_does_not_fit(
    tmp_path: Path, model: str, capture: Capture, message: str
) -> None:
    with pytest.raises(ParameterError, match=message):
        collect_dagger(DaggerConfig(tmp_path, MODELS, model, 4, capture))
    assert list(tmp_path.iterdir()) == []


def test_the_commands_collect_record_and_resume(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Expert frames, then frames of a model that drives; again, nothing is collected twice."""
    small_models.make(tmp_path / 'models', 'rt2')
    small = ['--frames', '3', '--shard', '3', '--workers', '1', '--out']
    collected = ['collect', 'pct-tabletop', *small, str(tmp_path / 'expert')]
    driven = ['dagger', 'tiny', '--models', str(tmp_path / 'models'), *small,
              str(tmp_path / 'visited')]  # fmt: skip
    for given, folder, first in (
        (collected, 'expert', TRAINING_SEEDS),
        (driven, 'visited', DAGGER_SEEDS),
    ):
        assert main(given) == 0
        record = json.loads((tmp_path / folder / 'record.json').read_text())
        assert (record['frames'], record['seeds'][0]) == (3, first)
        assert record['command'].startswith(f'sara-ros {given[0]}')
        (shard,) = (tmp_path / folder).glob('frames-*.npz')
        written = shard.stat().st_mtime_ns
        assert main(given) == 0
        assert shard.stat().st_mtime_ns == written
        assert len(load_frames(tmp_path / folder)['labels']) == 3
    assert main([*collected, '--seed', '1']) == 1
    assert 'holds frames of another collection: seed 0, not 1' in capsys.readouterr().err


@pytest.mark.parametrize(
    ('given', 'message'),
    [
        (['collect', 'rt2-g1'], "recipe 'rt2-g1' is trained on a recording"),
        (['collect', 'rt3'], "unknown recipe 'rt3'; known: rt2-tabletop"),
        (['collect', 'pct-tabletop', '--frames', '-5'], 'frames is -5; must be at least 1'),
        (['dagger', 'nobody'], "model 'nobody' not found"),
        (['dagger', 'pct-tabletop', '--seed', '-5'], 'seed is -5; rounds have 0 to 194'),
        (['dagger', 'rt2-g1'], 'which the tabletop does not have'),
    ],
)
def test_wrong_usage(
    tmp_path: Path, given: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*given, '--out', str(tmp_path)]) == 1
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
