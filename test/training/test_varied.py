"""Training in varied scenes, and what it leaves for the suites to vary."""

from dataclasses import asdict, replace
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from sara_ros.core import ParameterError
from sara_ros.core.instructions import words_of
from sara_ros.policies import verify
from sara_ros.policies.loading import build_network
from sara_ros.sim.action_space import tabletop_action
from sara_ros.sim.cameras import CameraRig
from sara_ros.sim.conditions import STANDARD, Conditions, DepthNoise
from sara_ros.sim.scene import VARIED_SCENE
from sara_ros.sim.tasks import INSTRUCTIONS, TASKS, VERBS
from sara_ros.sim.variations import RANGES, TRAINING_RANGES, VARIATIONS
from sara_ros.sim.wordings import LEARNED, PARAPHRASES, learned_sentences
from sara_ros.sim.world import TabletopWorld
from sara_ros.training import dagger
from sara_ros.training.capture import Capture, capture
from sara_ros.training.collect import CollectConfig
from sara_ros.training.dagger import DaggerConfig
from sara_ros.training.optimiser import Recipe
from sara_ros.training.pct_tabletop import pct_config
from sara_ros.training.rt2_tabletop import tabletop_config
from sara_ros.training.scenes import SceneRules, visit
from sara_ros.training.sentences import sample_words
from sara_ros.training.shards import claim_folder
from sara_ros.training.tabletop import DaggerRound, TabletopConfig, train_tabletop
from sara_ros.training.varied import training_conditions, training_instructions
from sara_ros.uptraining.data import DataOptions
from sara_ros.uptraining.tabletop_data import TabletopData

ALL = tuple(VARIATIONS)


@pytest.fixture
def world():
    """Return a world that was never reset."""
    return TabletopWorld()


@pytest.fixture
def rig(world):
    """Return its cameras."""
    with CameraRig(world.model) as cameras:
        yield cameras


def test_the_suites_keep_sentences_of_their_own():
    """Of which every word was trained on, so that a policy can know what it is told."""
    told = {text for texts in learned_sentences() for text in texts}
    words = {word for text in told for word in words_of(text)}
    for verb in VERBS:
        for sentence in PARAPHRASES[verb]:
            heard = [sentence.format(color=color) for color in ('red', 'yellow')]
            assert not told.intersection(heard)
            assert {word for text in heard for word in words_of(text)} <= words
    limit = tabletop_config().max_words
    assert all(len(words_of(text)) <= limit for text in told)
    assert len(told) == len(TASKS) * (1 + len(LEARNED['push']))
    assert training_instructions(ALL)[: len(TASKS)] == INSTRUCTIONS
    assert set(training_instructions(ALL)) == told
    assert training_instructions(()) == INSTRUCTIONS


def test_training_goes_less_far_than_the_suites():
    training, suites = asdict(TRAINING_RANGES), asdict(RANGES)
    assert training['light_turn_rad'][1] < suites['light_turn_rad'][0]
    assert not set(training['distractor_colors']) & set(suites['distractor_colors'])
    for name in (
        'light_fall', 'light_strength', 'light_tint', 'front_shift_m', 'front_turn_rad',
        'wrist_shift_m', 'wrist_turn_rad', 'distractors', 'depth_spread_m', 'depth_dropout',
        'delay_steps',
    ):  # fmt: skip
        assert np.max(training[name]) < np.max(suites[name]), name


def test_a_varied_scene_is_the_plain_one_dressed():
    """Where nothing is late the same states are visited; the seed decides what differs."""
    world, rules = TabletopWorld(VARIED_SCENE), SceneRules(kept=1.0, steps=6)
    looks = tuple(name for name in ALL if name != 'latency')

    def visited(seed, *variations):
        stops = visit(world, seed, rules, *variations)
        return [(conditions, world.state.ee.vector.tolist()) for _, conditions in stops]

    seen = []
    for seed in range(12):
        plain, varied = visited(seed), visited(seed, looks)
        assert [state for _, state in plain] == [state for _, state in varied]
        assert varied == visited(seed, looks)
        seen += [conditions for conditions, _ in varied[:1]]
    for part in ('light', 'cameras', 'distractors', 'wording', 'depth'):
        count = sum(bool(getattr(conditions, part)) for conditions in seen)
        assert 0 < count < len(seen)


def test_a_late_scene_begins_with_that_many_holds():
    world, rules = TabletopWorld(), SceneRules(kept=1.0, steps=6, teleported=0.0)
    waits = set()
    for seed in range(8):
        stops = [
            (conditions.delay_steps, world.state.ee.position.copy())
            for _, conditions in visit(world, seed, rules, ['latency'])
        ]
        delay = stops[0][0] or rules.delay
        waits.add(delay)
        moved = [np.linalg.norm(at - stops[0][1]) > 1e-4 for _, at in stops]
        assert not any(moved[: delay + 1])
        assert moved[delay + 1]
    assert len(waits) > 1


def test_a_coin_falls_the_same_whichever_other_variations_are_on():
    world = TabletopWorld(VARIED_SCENE)
    for seed in range(8):
        state = world.reset(seed, TASKS[0])
        both = training_conditions(('depth-noise', 'lighting'), seed, TASKS[0], state)
        assert both == replace(
            training_conditions(('lighting',), seed, TASKS[0], state), depth=both.depth
        )


def test_an_unknown_variation_is_named(tmp_path, world):
    for begin in (
        lambda: CollectConfig(tmp_path, variations=('fog',)),
        lambda: DaggerConfig(tmp_path, tmp_path, 'toy', 4, Capture(), variations=('fog',)),
        lambda: training_conditions(('fog',), 0, TASKS[0], world.reset(0)),
    ):
        with pytest.raises(ParameterError, match="no variation 'fog'; known: lighting"):
            begin()


def test_plain_and_varied_frames_are_not_mixed(tmp_path):
    """Folders of before there were variations hold plain ones."""
    plain, varied = CollectConfig(tmp_path), CollectConfig(tmp_path, variations=ALL)
    for first, second in ((plain, varied), (varied, plain)):
        (tmp_path / 'settings.json').unlink(missing_ok=True)
        claim_folder(tmp_path, first.settings)
        claim_folder(tmp_path, first.settings)
        with pytest.raises(ParameterError, match='frames of another collection: variations'):
            claim_folder(tmp_path, second.settings)
    settings = {name: each for name, each in plain.settings.items() if name != 'variations'}
    (tmp_path / 'settings.json').write_text(json.dumps(settings))
    claim_folder(tmp_path, plain.settings)
    with pytest.raises(ParameterError, match='frames of another collection: variations'):
        claim_folder(tmp_path, varied.settings)


def test_a_learner_is_told_what_the_scene_says_and_is_as_late(world, rig, monkeypatch):
    """In DAgger: its sentence, its latency, and what its depth gets wrong."""
    late = Conditions(wording='shove the red block', delay_steps=3)
    monkeypatch.setattr(dagger, 'training_conditions', lambda *_: late)
    told, shown = [], []

    class Mover:
        spec = tabletop_action()

        def reset(self):
            pass

        def act(self, observation):
            told.append(observation.instruction)
            place = np.zeros((4, 8), np.float32)
            place[:, 3], place[2, 1] = -0.001, 0.02  # the third step of a chunk goes forward
            return SimpleNamespace(values=place)

    def shows(world, rig, index, wanted, conditions, **_):
        shown.append((conditions, world.state.ee.position.copy()))
        return {'state': np.zeros(8, np.float32), 'labels': np.zeros((16, 8), np.float32)}

    monkeypatch.setattr(dagger, 'capture', shows)
    config = DaggerConfig(Path(), Path(), 'toy', 4, Capture(), steps=24)
    dagger._episode(config, Mover(), world, rig, seed=2)
    assert set(told) == {late.wording}
    assert {id(conditions) for conditions, _ in shown} == {id(late)}
    path = np.array([place for _, place in shown])
    assert np.abs(path[3] - path[0]).max() < 1e-4
    assert path[-1][0] - path[0][0] > 0.03


def test_every_other_sentence_is_the_instruction_whoever_draws():
    words = torch.arange(len(TASKS) * 6).reshape(len(TASKS), 6, 1)
    tasks = torch.arange(16).repeat(250, 1)
    rows = list(range(250))
    drawn = sample_words(words, tasks, rows, np.random.default_rng(3))
    assert torch.equal(drawn[..., 0] // 6, tasks)
    which = drawn[..., 0] % 6
    assert (which == 0).float().mean() == pytest.approx(0.5, abs=0.03)
    assert set(which.unique().tolist()) == set(range(6))
    part = sample_words(words, tasks[100:], rows[100:], np.random.default_rng(3))
    assert torch.equal(part, drawn[100:])


def test_the_depth_of_each_frame_is_off_in_its_own_way(world, rig, monkeypatch):
    world.reset(4)
    wanted = Capture(images=False, points=pct_config())

    def cloud(conditions):
        return capture(world, rig, 0, wanted, conditions)['points']

    noisy = Conditions(depth=DepthNoise(0.002, 0.05, seed=7))
    plain, first = cloud(STANDARD), cloud(noisy)
    assert not np.array_equal(plain, first)
    assert np.array_equal(first, cloud(noisy))
    # The next frame of a scene in which nothing moves.
    monkeypatch.setattr(TabletopWorld, 'time_sec', world.time_sec + 0.05)
    assert np.array_equal(plain, cloud(STANDARD))
    assert not np.array_equal(first, cloud(noisy))


@pytest.mark.parametrize('kind', ['rt2', 'pct'])
def test_a_model_says_what_it_was_trained_on_and_up_training_goes_on_with_it(tmp_path, kind):
    config = TabletopConfig(
        'toy', kind, tmp_path / 'models', tmp_path / 'work', frames=8,
        recipe=Recipe(steps=2, batch=2), rounds=(DaggerRound(1, 4),), instructions=2,
        processes=1, shard=4, variations=ALL, command='a test',
    )  # fmt: skip
    train_tabletop(config)
    stored = verify(tmp_path / 'models', 'toy')
    assert stored.checkpoint.training['variations'] == list(ALL)
    assert stored.checkpoint.spec.instructions == training_instructions(ALL)
    assert 'shove' in stored.checkpoint.model['vocabulary']
    network = build_network(stored.checkpoint)
    options = DataOptions(tmp_path / 'work', tmp_path / 'models', held_out=2, processes=1)
    data = TabletopData(stored, network, options)
    learner = data.learner(network)
    assert data.facts['dagger_frames'] == 4
    assert learner.words.shape[:2] == (len(TASKS), 1 + len(LEARNED['push']))
    assert data.losses(learner)(np.random.default_rng(0), 2)['loss'].isfinite()
    for folder in ('frames', 'dagger-0', 'held-out'):
        collected = json.loads((tmp_path / 'work' / folder / 'settings.json').read_text())
        assert collected['variations'] == list(ALL)
    plain = {
        name: each for name, each in stored.checkpoint.training.items() if name != 'variations'
    }
    other = replace(stored, checkpoint=replace(stored.checkpoint, training=plain))
    with pytest.raises(ParameterError, match='frames of another collection: variations'):
        TabletopData(other, network, options)
