"""The scripted expert for tasks about two blocks, and one way to ask for any task's action."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from sara_ros.sim import manoeuvres
from sara_ros.sim.expert import DONE, expert_action
from sara_ros.sim.manoeuvres import Action
from sara_ros.sim.pair_tasks import PairTask
from sara_ros.sim.scene import BLOCK_HALF_M, DISC
from sara_ros.sim.state import Float64Array, Pose, WorldState
from sara_ros.sim.tasks import TabletopTask, Task

PAIR_DONE: Final = replace(
    DONE,
    stacked_aside_m=0.012,
    stacked_height_m=0.003,
    beside_near_m=0.066,
    beside_far_m=0.114,
    beside_askew_m=0.024,
)
"""When the expert lets go and terminates: well inside success."""

LANDING_STEP_M: Final = 0.0015
LANDING_GAIN: Final = 0.15
"""Fastest descent onto a block: m a step, and part of the height that is left."""

HIGH_GRIP_M: Final = 0.008
"""How far above a block's centre it is gripped to be stacked: fingers stay off the lower one."""


def task_action(state: WorldState, task: TabletopTask) -> Action:
    """
    Return the action ``(8,)`` that an expert takes in ``state``.

    :raises TypeError: for a kind of task that no expert knows.
    """
    if isinstance(task, Task):
        return expert_action(state, task)
    if isinstance(task, PairTask):
        return pair_action(state, task)
    raise TypeError(f'no expert for a {type(task).__name__}')


def pair_action(state: WorldState, task: PairTask) -> Action:
    """Return the action ``(8,)``, a function of the present state and nothing else."""
    if task.success(state, PAIR_DONE):
        return manoeuvres.stop(state, 1.0)
    if task.settled(state, PAIR_DONE):
        return manoeuvres.retreat(state)
    if manoeuvres.held(state, task.color):
        goal = task.goal(state)
        action = manoeuvres.carry_to_disc(_with_disc_at(goal, state, task), task.color)
        return _gently(action, state, goal, task) if task.verb == 'stack' else action
    gripped = _raised(state, task.color, HIGH_GRIP_M) if task.verb == 'stack' else state
    return manoeuvres.approach(gripped, task.color, grasp=True)


def _gently(action: Action, state: WorldState, goal: Float64Array, task: PairTask) -> Action:
    """Come down slowly: an arm that is fast when it meets a block presses its target into it."""
    above_m = max(0.0, float(state.objects[task.color].position[2] - goal[2]))
    slow = np.array(action)
    slow[3] = max(slow[3], -(LANDING_STEP_M + LANDING_GAIN * above_m))
    return slow


def _raised(state: WorldState, color: str, rise_m: float) -> WorldState:
    block = state.objects[color]
    raised = Pose(np.add(block.position, (0.0, 0.0, rise_m)), block.quaternion)
    return replace(state, objects={**state.objects, color: raised})


def _with_disc_at(goal: Float64Array, state: WorldState, task: PairTask) -> WorldState:
    """
    Return the state as it looks from a table as high as the goal, with the disc there.

    The hand is as high as the block in it: whatever the grip, the block is what is put down, and
    the arm does not press on when it has arrived.
    """
    rise = (0.0, 0.0, float(goal[2]) - BLOCK_HALF_M)
    block = state.objects[task.color]
    lowered = np.subtract(block.position, rise)
    hand = np.array([*state.ee.position[:2], lowered[2]])
    disc = Pose(goal * (1, 1, 0), state.objects[DISC].quaternion)
    objects = {**state.objects, task.color: Pose(lowered, block.quaternion), DISC: disc}
    return replace(state, ee=Pose(hand, state.ee.quaternion), objects=objects)
