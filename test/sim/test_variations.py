"""Tests of suites and variations: what each changes, and that seeds decide all of it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from sara_ros.core import ParameterError
from sara_ros.sim.cameras import CameraRig
from sara_ros.sim.conditions import STANDARD, Conditions, DepthNoise, Distractor
from sara_ros.sim.noisy_depth import NoisyDepth, cameras_of
from sara_ros.sim.scene import COLORS, VARIED_SCENE
from sara_ros.sim.suites import MOVE_SLOT, SLOTS, STACK_SLOT, SUITES, Suite, suite_named
from sara_ros.sim.tasks import INSTRUCTIONS, TASKS, Task
from sara_ros.sim.variations import RANGES, VARIATIONS, draw_conditions
from sara_ros.sim.wordings import PARAPHRASES, paraphrase
from sara_ros.sim.world import TabletopWorld

SIZE = (60, 80)


@pytest.fixture(scope='module')
def varied() -> Iterator[tuple[TabletopWorld, CameraRig]]:
    """Return a world with room for distractors, and its cameras."""
    world = TabletopWorld(VARIED_SCENE)
    with CameraRig(world.model) as rig:
        yield world, rig


def _conditions(world: TabletopWorld, name: str, seed: int, task: Task = TASKS[4]) -> Conditions:
    return SUITES[name].conditions(seed, task, world.reset(seed, task))


def _seen(world: TabletopWorld, rig: CameraRig, conditions: Conditions) -> list[np.ndarray]:
    world.dress(conditions)
    cameras = cameras_of(conditions, rig)
    rgb, depth = cameras.rgb_depth(world.data, 'front', *SIZE)
    return [rgb, depth, cameras.rgb(world.data, 'wrist', *SIZE)]


def test_every_variation_is_a_suite_and_the_harder_one_has_all() -> None:
    assert set(VARIATIONS) < set(SUITES)
    assert SUITES['standard'].variations == ()
    assert SUITES['harder'].variations == tuple(VARIATIONS)
    assert {STACK_SLOT, MOVE_SLOT} < set(SUITES['harder'].slots)
    assert max(SUITES['harder'].slots) < SLOTS
    for name in VARIATIONS:
        assert SUITES[name].variations == (name,)


def test_unknown_names_are_listed() -> None:
    with pytest.raises(ParameterError, match="no suite 'easy'; known: standard, harder"):
        suite_named('easy')
    with pytest.raises(ParameterError, match="no variation 'fog'; known: lighting"):
        Suite('mine', variations=('fog',))
    with pytest.raises(ParameterError, match="suite 'mine': slots are 0 to 17"):
        Suite('mine', slots=(18,))


def test_the_standard_suite_differs_in_nothing(varied, world, rig) -> None:
    """Hidden distractors and a dressing that came off leave every bit as it was."""
    wide, wide_rig = varied
    assert _conditions(wide, 'standard', 5) == STANDARD
    _seen(wide, wide_rig, _conditions(wide, 'harder', 5))
    plain = _seen(world, rig, _conditions(world, 'standard', 5))
    again = _seen(wide, wide_rig, _conditions(wide, 'standard', 5))
    for one, other in zip(plain, again, strict=True):
        assert np.array_equal(one, other)


@pytest.mark.parametrize('name', ['harder', *VARIATIONS])
def test_the_same_seed_gives_the_same_bits(varied, name: str) -> None:
    world, rig = varied
    first, other = _conditions(world, name, 11), _conditions(world, name, 12)
    pictures = _seen(world, rig, _conditions(world, name, 11))
    assert first == _conditions(world, name, 11)
    if name != 'latency':
        assert first != other
    world.reset(11, TASKS[4])
    for one, again in zip(pictures, _seen(world, rig, first), strict=True):
        assert np.array_equal(one, again)


def test_a_variation_draws_the_same_whichever_others_are_on(varied) -> None:
    world, _ = varied
    together = _conditions(world, 'harder', 3)
    for name, part in (('lighting', 'light'), ('camera-jitter', 'cameras'), ('latency',
                       'delay_steps'), ('depth-noise', 'depth'), ('distractors', 'distractors'),
                       ('paraphrase', 'wording')):  # fmt: skip
        alone = _conditions(world, name, 3)
        assert getattr(alone, part) == getattr(together, part) != getattr(STANDARD, part)


@pytest.mark.parametrize(
    ('name', 'changes'),
    [
        ('lighting', (True, False, True)),
        ('camera-jitter', (True, True, True)),
        ('depth-noise', (False, True, False)),
        ('paraphrase', (False, False, False)),
        ('latency', (False, False, False)),
    ],
)
def test_a_variation_changes_what_it_says(varied, name: str, changes: tuple[bool, ...]) -> None:
    """Colour, depth and the wrist's colour; how things move is never among it."""
    world, rig = varied
    plain = _seen(world, rig, _conditions(world, 'standard', 8))
    moved = world.step(np.array([0, 0.02, 0, 0.01, 0, 0, 0, 1], np.float32))
    seen = _seen(world, rig, _conditions(world, name, 8))
    found = tuple(not np.array_equal(a, b) for a, b in zip(plain, seen, strict=True))
    assert found == changes
    again = world.step(np.array([0, 0.02, 0, 0.01, 0, 0, 0, 1], np.float32))
    assert np.array_equal(moved.joint_positions, again.joint_positions)


def test_distractors_are_seen_and_in_nobodys_way(varied) -> None:
    world, rig = varied
    drawn = 0
    for seed in range(12):
        task = TASKS[4 + seed % 4]
        plain = _seen(world, rig, _conditions(world, 'standard', seed, task))[1]
        conditions = _conditions(world, 'distractors', seed, task)
        drawn += len(conditions.distractors)
        assert not np.array_equal(plain, _seen(world, rig, conditions)[1])
        points = {name: pose.position for name, pose in world.state.objects.items()}
        bystander = next(color for color in COLORS if color != task.color)
        for each in conditions.distractors:
            spot = np.array([each.x_m, each.y_m])
            gaps = [np.linalg.norm(spot - place[:2]) for place in points.values()]
            assert min(gaps) >= RANGES.distractor_gap_m
            assert task.has_room({**points, bystander: spot})
    assert drawn >= 24


def test_a_scene_without_room_for_distractors_says_so(world: TabletopWorld) -> None:
    world.reset(0)
    thing = Distractor('ball', 0.4, 0.0, 0.0, (0.02, 0.02), (0, 0, 0))
    with pytest.raises(ParameterError, match='1 distractors, but the scene was built with 0'):
        world.dress(Conditions(distractors=(thing,)))


def test_light_comes_from_where_it_never_did(varied) -> None:
    world, _ = varied
    usual = world.model.light_dir[0].copy()
    for seed in range(10):
        light = _conditions(world, 'lighting', seed).light
        a, b = np.array(light.direction[:2]), usual[:2]
        cosine = a @ b / np.linalg.norm(a) / np.linalg.norm(b)
        assert cosine < np.cos(RANGES.light_turn_rad[0]) + 1e-6


def test_latency_is_one_to_three_steps(varied) -> None:
    world, _ = varied
    state = world.reset(0)
    delays = {draw_conditions(('latency',), s, TASKS[0], state).delay_steps for s in range(30)}
    assert delays == {1, 2, 3}


def test_noise_grows_with_distance_and_some_pixels_are_lost(world, rig) -> None:
    world.reset(1)
    noise = DepthNoise(0.002, 0.1, seed=4)
    exact = rig.rgb_depth(world.data, 'front', 120, 160)[1]
    noisy = NoisyDepth(rig, noise).rgb_depth(world.data, 'front', 120, 160)[1]
    seen = np.isfinite(exact)
    lost = seen & ~np.isfinite(noisy)
    assert 0.08 < lost.sum() / seen.sum() < 0.12
    kept = np.isfinite(noisy)
    spread = ((noisy[kept] - exact[kept]) / exact[kept] ** 2).std()
    assert spread == pytest.approx(noise.spread_m, rel=0.05)


def test_paraphrases_are_new_and_name_the_block() -> None:
    rng = np.random.default_rng(0)
    for task in TASKS:
        texts = {paraphrase(task, rng) for _ in range(40)}
        assert len(texts) == len(PARAPHRASES[task.verb]) >= 4
        assert texts.isdisjoint(INSTRUCTIONS)
        assert all(task.color in text for text in texts)


def test_tasks_of_a_slot_are_drawn_from_the_seed() -> None:
    suite = SUITES['harder']
    assert [suite.task(slot, 1) for slot in range(16)] == list(TASKS)
    drawn = {suite.task(MOVE_SLOT, seed).instruction for seed in range(40)}
    assert len(drawn) > 15
    assert suite.task(STACK_SLOT, 3) == suite.task(STACK_SLOT, 3)
    assert suite.task(STACK_SLOT, 3).verb == 'stack'
