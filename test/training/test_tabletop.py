"""Training on the tabletop, end to end at toy size."""

import json

import numpy as np
import pytest
from training.test_variants import POINTS

from sara_ros.core import ParameterError
from sara_ros.policies import load_policy, verify, warm_up
from sara_ros.sim.cameras import CameraRig
from sara_ros.sim.tasks import TASKS
from sara_ros.sim.world import TabletopWorld
from sara_ros.training import tabletop
from sara_ros.training.capture import VIEWS, Capture, capture
from sara_ros.training.collect import CollectConfig, collect_shard
from sara_ros.training.frames import load_frames
from sara_ros.training.optimiser import Recipe
from sara_ros.training.pct_tabletop import pct_config
from sara_ros.training.recipes import recipe_config
from sara_ros.training.rt2_tabletop import RT2Learner, sample_tasks
from sara_ros.training.scenes import draw_task
from sara_ros.training.tabletop import (
    LEARNERS,
    DaggerRound,
    TabletopConfig,
    learner_name,
    train_tabletop,
)
from sara_ros.training.warm_start import WarmStart


def test_capture_agrees_with_itself():
    """Objects are behind the tokens that their projected places fall into."""
    world = TabletopWorld()
    world.reset(3)
    world.teleport((0.3, 0.0, 0.3))
    with CameraRig(world.model) as rig:
        row = capture(world, rig, 0, Capture(points=pct_config()))
    assert row['labels'].shape == (16, 8)
    front = VIEWS[0]
    for index in range(5):
        x, y = row['pixels'][0, index]
        token = int(y // front.patch) * front.grid[1] + int(x // front.patch)
        assert row['counts'][token, index] > 0
    near = np.abs(row['points'][:, :2].astype(np.float32) - row['places'][0, 0, :2]).max(axis=1)
    assert (near < 0.02).any()


def test_collecting_again_gives_the_same_frames(tmp_path):
    """A shard depends on the seed and its number only."""
    for name in ('a', 'b'):
        collect_shard(CollectConfig(tmp_path / name, shard=6), 2)
    first, second = (load_frames(tmp_path / name) for name in ('a', 'b'))
    assert set(first) == set(second)
    for name, value in first.items():
        np.testing.assert_array_equal(value, second[name], err_msg=name)
    collect_shard(CollectConfig(tmp_path / 'c', shard=6), 3)
    assert not np.array_equal(load_frames(tmp_path / 'c')['state'], first['state'])


def test_missing_frames(tmp_path):
    """Training without data says so."""
    with pytest.raises(ParameterError, match='no training frames'):
        load_frames(tmp_path)


def test_sampled_tasks_are_distinct_from_the_main_one():
    """The state's own task comes first and once."""
    main = np.array([0, 7, 15] * 50)
    tasks = sample_tasks(main, np.random.default_rng(0), 4).numpy()
    assert (tasks[:, 0] == main).all()
    assert (tasks[:, 1:] != main[:, None]).all()
    assert set(tasks.ravel()) == set(range(len(TASKS)))


@pytest.mark.parametrize('kind', ['rt2', 'pct'])
def test_trains(tmp_path, kind, monkeypatch):
    """Collect, clone, one DAgger round of pushes and a checkpoint that loads and acts."""
    exact, real = [], RT2Learner.losses
    monkeypatch.setattr(
        RT2Learner,
        'losses',
        lambda self, *given: (exact.append(self.exact), real(self, *given))[1],
    )
    config = TabletopConfig(
        model_id='toy', kind=kind, models_dir=tmp_path / 'models', work=tmp_path / 'work',
        frames=8, recipe=Recipe(steps=2, batch=2), rounds=(DaggerRound(1, 4, ('push',)),),
        instructions=2, processes=1, shard=4, exact_steps=1, command='a test',
    )  # fmt: skip
    folder = train_tabletop(config)
    training = verify(tmp_path / 'models', 'toy').checkpoint.training
    assert training['command'] == 'a test'
    assert training['exact_steps'] == 1
    assert exact == ([True, False, False] if kind == 'rt2' else [])
    tried = load_frames(tmp_path / 'work' / 'dagger-0')['task']
    assert {TASKS[task].verb for task in tried} == {'push'}
    learner = verify(tmp_path / 'work' / LEARNERS, learner_name('toy', 1))
    assert learner.weights['sha256'] != verify(tmp_path / 'models', 'toy').weights['sha256']
    policy = load_policy(tmp_path / 'models', 'toy')
    warm_up(policy)
    record = json.loads((tmp_path / 'work' / 'record.json').read_text())
    assert record['command'] == 'a test'
    assert record['sha256'] == verify(tmp_path / 'models', 'toy').weights['sha256']
    assert record['data'] == {
        'frames': {'frames': 8, 'seeds': [10_000_000, 10_000_031]},
        'dagger-0': {'frames': 4, 'seeds': [50_000_000, 50_009_999]},
    }
    assert str(tmp_path) not in (folder / 'policy.json').read_text()
    assert train_tabletop(config) == folder


def test_recipes(tmp_path):
    """Each shipped model has a recipe; what is missing is named."""
    for name in ('rt2-tabletop', 'pct-tabletop', 'rt2-g1'):
        config = recipe_config(
            name, model_id=name, models_dir=tmp_path, work=tmp_path, data=tmp_path
        )
        assert config.model_id == name
    with pytest.raises(ParameterError, match='needs a recording'):
        recipe_config('rt2-g1', model_id='a', models_dir=tmp_path, work=tmp_path)
    with pytest.raises(ParameterError, match="unknown recipe 'x'; known: rt2-tabletop"):
        recipe_config('x', model_id='a', models_dir=tmp_path, work=tmp_path)


def test_tasks_of_some_verbs():
    """Shares of the verbs left keep their ratio."""
    rng = np.random.default_rng(0)
    verbs = [TASKS[draw_task(rng, ('push', 'place'))].verb for _ in range(1000)]
    assert set(verbs) == {'push', 'place'}
    assert verbs.count('place') / len(verbs) == pytest.approx(0.35 / 0.65, abs=0.05)


def test_a_parent_that_was_trained_again_is_noticed(tmp_path, monkeypatch):
    """A run once went on from the state that the weights before had led to."""
    hashes = iter(['1a', '1a', '2b'])
    monkeypatch.setattr(
        tabletop,
        'warm_start',
        lambda *given: WarmStart({'model_id': 'parent', 'sha256': next(hashes)}, ()),
    )
    monkeypatch.setattr(tabletop, 'collect', lambda *given: 0)
    monkeypatch.setattr(tabletop, 'load_frames', lambda folder: {'state': np.zeros((2, 8), 'f4')})
    monkeypatch.setattr(tabletop, 'require_fit', lambda *given: None)
    monkeypatch.setattr(
        tabletop.TabletopFrames,
        'losses',
        lambda self, learner, *given: {'loss': next(learner.parameters()).square().sum()},
    )
    config = TabletopConfig(
        'toy', 'pct', tmp_path / 'models', tmp_path / 'work', recipe=Recipe(steps=1), rounds=(),
        network=POINTS, warm_start='parent',
    )  # fmt: skip
    assert train_tabletop(config) == train_tabletop(config)
    with pytest.raises(ParameterError, match=r'a run with other settings \(warm_start\)'):
        train_tabletop(config)


@pytest.mark.parametrize(
    ('numbers', 'message'),
    [
        ({'threads': 0}, 'threads is 0; must be at least 1'),
        ({'instructions': 0}, 'instructions is 0; must be at least 1'),
        ({'frames': 0}, 'frames is 0; must be at least 1'),
        ({'recipe': Recipe(steps=1, seed=4)}, 'seed is 4; collections have 0 to 3'),
    ],
)
def test_numbers_are_checked(tmp_path, numbers, message):
    with pytest.raises(ParameterError, match=message):
        TabletopConfig('toy', 'rt2', tmp_path, tmp_path / 'work', **numbers)
    with pytest.raises(ParameterError, match='at_step is 0; must be at least 1'):
        DaggerRound(0, 4)


def test_unknown_kind(tmp_path):
    """A kind that is not known is named before anything is collected."""
    with pytest.raises(ParameterError, match="kind is 'rt1'; known: rt2, pct"):
        train_tabletop(TabletopConfig('toy', 'rt1', tmp_path, tmp_path / 'work'))
    assert not (tmp_path / 'work').exists()
