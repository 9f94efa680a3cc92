"""
The scripted expert for the sixteen tasks.

It has no phases to remember: every action is a function of the present state, so it can also
label states that it would never visit.
"""

from __future__ import annotations

from dataclasses import replace
import time
from typing import Final

import numpy as np

from sara_ros.core import ActionChunk, Observation, ObservationSpec, PolicySpec
from sara_ros.sim import manoeuvres
from sara_ros.sim.action_space import tabletop_action
from sara_ros.sim.manoeuvres import Action
from sara_ros.sim.scene import (
    BASE_FRAME,
    BLOCK_HALF_M,
    DISC,
    FINGER_JOINT,
    FINGER_TRAVEL_M,
    OBJECTS,
)
from sara_ros.sim.state import Pose, WorldState
from sara_ros.sim.tasks import INSTRUCTIONS, THRESHOLDS, Task

DONE: Final = replace(
    THRESHOLDS,
    reach_horizontal_m=0.011,
    reach_vertical_m=0.013,
    lift_height_m=0.075,
    on_disc_m=0.030,
    released_opening=0.75,
    released_clearance_m=0.045,
)
"""When the expert terminates: well inside success, so that an imitator's margin is too."""

PUSHED: Final = replace(DONE, on_disc_m=0.018)
"""A block that was pushed may be pushed further; one that was put down stays."""


def expert_action(state: WorldState, task: Task) -> Action:
    """Return the action ``(8,)`` that the expert takes in ``state``."""
    if task.success(state, PUSHED if task.verb == 'push' else DONE):
        return manoeuvres.stop(state, 0.0 if task.verb in ('push', 'lift') else 1.0)
    if task.verb == 'push':
        between = manoeuvres.caught(state)
        if between is not None:
            return manoeuvres.put_down(state, between)
        return manoeuvres.push_to_disc(state, task.color)
    if task.verb == 'place' and _landed(state, task.color):
        return manoeuvres.retreat(state)
    if task.verb in ('lift', 'place') and manoeuvres.held(state, task.color):
        if task.verb == 'lift':
            return manoeuvres.raise_block(state)
        return manoeuvres.carry_to_disc(state, task.color)
    return manoeuvres.approach(state, task.color, grasp=task.verb != 'reach')


class ScriptedExpert:
    """
    The expert as a policy: it reads the objects' true poses, and nothing of it is learned.

    An observation holds ``objects`` ``(5, 7)`` in the order of ``scene.OBJECTS``, ``ee_pose``
    ``(7,)`` and ``finger_joint`` ``(1,)`` in m.
    """

    def __init__(self) -> None:
        """Describe what it needs."""
        self._spec = PolicySpec(
            model_id='scripted_expert',
            kind='scripted_expert',
            observations=(
                ObservationSpec(
                    'objects', 'object_poses', (len(OBJECTS), 7), 'm', BASE_FRAME, names=OBJECTS
                ),
                ObservationSpec('ee_pose', 'pose', (7,), 'm', BASE_FRAME),
                ObservationSpec(FINGER_JOINT, 'joint_positions', (1,), 'm', names=(FINGER_JOINT,)),
            ),
            action=tabletop_action(),
            learned=False,
            instructions=INSTRUCTIONS,
        )

    @property
    def spec(self) -> PolicySpec:
        """What the policy needs, what it returns, and at which rate."""
        return self._spec

    def act(self, observation: Observation) -> ActionChunk:
        """
        Choose the next action.

        :raises ParameterError: when the instruction is none of the sixteen.
        :raises ObservationError: when a value is missing.
        """
        task = Task.parse(observation.instruction)
        state = _state(observation)
        timing = observation.timing.mark('preprocess', time.monotonic_ns())
        values = expert_action(state, task)[None]
        return ActionChunk(values, timing.mark('inference', time.monotonic_ns()))

    def reset(self) -> None:
        """Forget history; there is none."""


def _state(observation: Observation) -> WorldState:
    poses = (Pose.from_vector(pose) for pose in observation['objects'])
    return WorldState(
        ee=Pose.from_vector(observation['ee_pose']),
        gripper_opening=float(observation[FINGER_JOINT][0]) / FINGER_TRAVEL_M,
        objects=dict(zip(OBJECTS, poses, strict=True)),
    )


def _landed(state: WorldState, color: str) -> bool:
    block, disc = state.objects[color].position, state.objects[DISC].position
    height = float(block[2]) - BLOCK_HALF_M
    aside = float(np.linalg.norm((block - disc)[:2]))
    tuning = manoeuvres.TUNING
    return height < tuning.release_height_m and aside < tuning.release_aside_m
