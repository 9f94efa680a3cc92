"""Training in varied scenes, and what it leaves for the suites to vary."""

from dataclasses import replace
import json

import numpy as np
import pytest
import torch

from sara_ros.core import ParameterError
from sara_ros.core.instructions import words_of
from sara_ros.policies import verify
from sara_ros.policies.loading import build_network
from sara_ros.sim.scene import VARIED_SCENE
from sara_ros.sim.tasks import INSTRUCTIONS, TASKS, VERBS
from sara_ros.sim.variations import RANGES, TRAINING_RANGES, VARIATIONS
from sara_ros.sim.wordings import LEARNED, PARAPHRASES, learned_wordings
from sara_ros.sim.world import TabletopWorld
from sara_ros.training.collect import CollectConfig, collect_shard
from sara_ros.training.frames import load_frames
from sara_ros.training.optimiser import Recipe
from sara_ros.training.pct_tabletop import pct_config
from sara_ros.training.rt2_tabletop import tabletop_config
from sara_ros.training.scenes import SceneRules, visit
from sara_ros.training.tabletop import DaggerRound, TabletopConfig, train_tabletop
from sara_ros.training.told import sample_words
from sara_ros.training.varied import training_instructions
from sara_ros.uptraining.data import DataOptions
from sara_ros.uptraining.tabletop_data import TabletopData

ALL = tuple(VARIATIONS)
CLOUD = pct_config()


def test_the_suites_keep_sentences_of_their_own():
    """Of which every word was trained on, so that a policy can know what it is told."""
    told = {text for texts in learned_wordings() for text in texts}
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


def test_the_suites_keep_light_shifts_and_colours_of_their_own():
    assert TRAINING_RANGES.light_turn_rad[1] < RANGES.light_turn_rad[0]
    assert TRAINING_RANGES.light_strength[0] > RANGES.light_strength[0]
    assert TRAINING_RANGES.front_shift_m < RANGES.front_shift_m
    assert TRAINING_RANGES.depth_spread_m[1] < RANGES.depth_spread_m[1]
    assert not set(TRAINING_RANGES.distractor_colors) & set(RANGES.distractor_colors)


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
        moved = [np.linalg.norm(at - stops[0][1]) > 0.002 for _, at in stops]
        assert not any(moved[: delay + 1])
    assert len(waits) > 1


def test_an_unknown_variation_is_named(tmp_path):
    with pytest.raises(ParameterError, match="no variation 'fog'; known: lighting"):
        CollectConfig(tmp_path, variations=('fog',))


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


def test_the_depth_of_frames_is_noisy_in_some(tmp_path):
    """Among the frames of one scene, points are off, and not by the same."""
    config = CollectConfig(tmp_path / 'plain', shard=12, rules=SceneRules(kept=1.0))
    config = replace(config, capture=replace(config.capture, images=False, points=CLOUD))
    collect_shard(config, 1)
    collect_shard(replace(config, folder=tmp_path / 'noisy', variations=('depth-noise',)), 1)
    plain, noisy = (load_frames(tmp_path / name) for name in ('plain', 'noisy'))
    np.testing.assert_array_equal(plain['state'], noisy['state'])
    assert not np.array_equal(plain['points'], noisy['points'])


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
    assert learner.words.shape[:2] == (len(TASKS), 1 + len(LEARNED['push']))
    assert data.losses(learner)(np.random.default_rng(0), 2)['loss'].isfinite()
    for folder in ('frames', 'dagger-0', 'held-out'):
        collected = json.loads((tmp_path / 'work' / folder / 'settings.json').read_text())
        assert collected['variations'] == list(ALL)
