"""Tests of the scripted expert: every verb, with and without delay, and off the path."""

from __future__ import annotations

from collections import deque
from dataclasses import replace

import numpy as np
import pytest

from sara_ros.core import Observation, ObservationError, ParameterError, PolicySpec
from sara_ros.sim.action_space import tabletop_action
from sara_ros.sim.expert import ScriptedExpert, expert_action
from sara_ros.sim.scene import COLORS, DISC, FINGER_TRAVEL_M, OBJECTS
from sara_ros.sim.state import WorldState
from sara_ros.sim.tasks import TASKS, VERBS, Task
from sara_ros.sim.world import STEP_SEC, TabletopWorld

MAX_STEPS = 120


def _play(world: TabletopWorld, state: WorldState, task: Task, delay: int = 0) -> tuple[bool, int]:
    pending: deque[np.ndarray | None] = deque([None] * delay)
    for step in range(MAX_STEPS):
        pending.append(expert_action(state, task))
        action = pending.popleft()
        if action is not None:
            if action[0] > 0.5:
                return task.success(state), step
            world.apply(action)
        world.advance(STEP_SEC)
        state = world.state
    return False, MAX_STEPS


@pytest.mark.parametrize('delay', [0, 1])
@pytest.mark.parametrize('verb', VERBS)
def test_the_expert_follows_every_instruction(world: TabletopWorld, verb: str, delay: int) -> None:
    failed = []
    for seed in range(10):
        task = Task(verb, COLORS[seed % len(COLORS)])
        success, _ = _play(world, world.reset(seed, task), task, delay)
        if not success:
            failed.append((seed, task.instruction))
    assert failed == []


@pytest.mark.parametrize('verb', VERBS)
def test_doing_another_task_does_not_count(world: TabletopWorld, verb: str) -> None:
    done = Task(verb, 'red')
    success, _ = _play(world, world.reset(1, done), done)
    # Whoever holds a block has reached it too.
    others = [task for task in TASKS if task not in (done, Task('reach', done.color))]
    assert success
    assert [task.instruction for task in others if task.success(world.state)] == []


@pytest.mark.parametrize('verb', ['reach', 'lift', 'place'])
def test_the_expert_recovers_from_anywhere(world: TabletopWorld, verb: str) -> None:
    rng = np.random.default_rng(2)
    played = 0
    for seed in range(14):
        task = Task(verb, COLORS[seed % len(COLORS)])
        near = world.reset(seed).objects[OBJECTS[rng.integers(len(OBJECTS))]].position
        spot = (*(near[:2] + rng.normal(0, 0.03, 2)), rng.uniform(0.02, 0.12))
        holding = COLORS[rng.integers(len(COLORS))] if seed % 3 == 0 else None
        state = world.teleport(spot, yaw_rad=rng.uniform(-0.5, 0.5), opening=seed % 2,
                               holding=holding)  # fmt: skip
        if world.colliding or _occupied(state, task):
            continue
        played += 1
        assert _play(world, state, task)[0], (seed, task.instruction)
    assert played >= 8


def _occupied(state: WorldState, task: Task) -> bool:
    """Tell whether another block is where the task's block must go."""
    disc = state.objects[DISC].position
    others = [state.objects[color].position for color in COLORS if color != task.color]
    return task.verb == 'place' and any(np.linalg.norm((o - disc)[:2]) < 0.045 for o in others)


def test_the_expert_puts_down_what_it_should_push(world: TabletopWorld) -> None:
    task = Task('push', 'red')
    world.reset(1, task)
    state = world.teleport((0.4, 0.0, 0.1), holding='red')
    for _ in range(30):
        state = world.step(expert_action(state, task))
    assert state.objects['red'].position[2] < 0.03
    assert state.ee.position[2] > 0.05 or state.gripper_opening < 0.3


def test_an_imitator_unsure_of_the_places_neither_hovers_nor_holds_on(
    world: TabletopWorld,
) -> None:
    """An imitator returns the mean over what it cannot tell apart."""
    task = Task('place', 'red')
    disc = world.reset(4, task).objects[DISC]
    errors = np.random.default_rng(0).normal(0, 0.011, (300, 2))
    blurred = {}
    for height in (0.03, 0.045):
        state = world.teleport(np.add(disc.position, (0, 0, height)), holding='red')
        elsewhere = [np.add(disc.position, (*error, 0)) for error in errors]
        states = [
            replace(state, objects={**state.objects, DISC: replace(disc, position=place)})
            for place in elsewhere
        ]
        blurred[height] = np.mean([expert_action(s, task) for s in states], axis=0)
    assert blurred[0.045][3] < -0.004
    assert blurred[0.03][7] > 0.9


@pytest.mark.parametrize('offset_m', [-0.009, 0.009])
def test_however_a_block_is_held_it_is_let_go_of(world: TabletopWorld, offset_m: float) -> None:
    """A block that sticks out below the fingers lands before they are down, and the reverse."""
    task = Task('place', 'red')
    disc = world.reset(4, task).objects[DISC]
    state = world.teleport(np.add(disc.position, (0, 0, 0.06)), holding='red')
    block = state.objects['red']
    for height in (0.05, 0.03):
        ee = replace(state.ee, position=np.add(disc.position, (0, 0, height + offset_m)))
        lower = np.add(disc.position, (0, 0, height))
        held = replace(
            state, ee=ee, objects={**state.objects, 'red': replace(block, position=lower)}
        )
        action = expert_action(held, task)
        assert action[3] < -0.004 if height > 0.04 else action[7] == 1.0


def test_the_expert_has_no_hidden_phase(world: TabletopWorld) -> None:
    task = Task('place', 'yellow')
    state = world.reset(3, task)
    first = expert_action(state, task)
    _play(world, state, task)
    assert np.array_equal(expert_action(state, task), first)


def test_actions_keep_to_the_ranges(world: TabletopWorld) -> None:
    limits = tabletop_action()
    rng = np.random.default_rng(0)
    for seed in range(20):
        world.reset(seed)
        state = world.teleport(rng.uniform((0.3, -0.25, 0.02), (0.6, 0.25, 0.3)),
                               yaw_rad=rng.uniform(-2, 2))  # fmt: skip
        actions = np.stack([expert_action(state, task) for task in TASKS])
        assert actions.dtype == np.float32
        assert (actions >= limits.low - 1e-6).all()
        assert (actions <= limits.high + 1e-6).all()


def _observation(state: WorldState, instruction: str) -> Observation:
    return Observation.of(
        instruction,
        objects=np.stack([state.objects[name].vector for name in OBJECTS]),
        ee_pose=state.ee.vector,
        finger_joint=np.array([state.gripper_opening * FINGER_TRAVEL_M], np.float32),
    )


def test_the_policy_acts_as_the_expert_does(world: TabletopWorld) -> None:
    policy = ScriptedExpert()
    world.reset(2)
    state = world.teleport((0.45, 0.0, 0.1), holding='green')
    for task in TASKS:
        chunk = policy.act(_observation(state, task.instruction))
        assert chunk.values.shape == (1, 8)
        assert chunk.values[0] == pytest.approx(expert_action(state, task), abs=1e-5)
        assert set(chunk.timing.stages_ns) == {'preprocess', 'inference'}


def test_the_policy_never_passes_for_learned() -> None:
    spec = ScriptedExpert().spec
    assert not spec.learned
    assert PolicySpec.from_dict(spec.to_dict()) == spec


def test_the_policy_refuses_what_it_cannot_follow(world: TabletopWorld) -> None:
    policy = ScriptedExpert()
    state = world.reset(2)
    with pytest.raises(ParameterError, match="unknown instruction ''; try"):
        policy.act(_observation(state, ''))
    with pytest.raises(ObservationError, match="no 'objects'"):
        policy.act(Observation.of('lift the red block', ee_pose=state.ee.vector))
