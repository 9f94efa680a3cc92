"""Tests of instructions and success."""

from __future__ import annotations

import numpy as np
import pytest

from sara_ros.core import ParameterError
from sara_ros.sim.scene import COLORS, DISC
from sara_ros.sim.state import Pose, WorldState
from sara_ros.sim.tasks import INSTRUCTIONS, TASKS, THRESHOLDS, Task

UPRIGHT = np.array([0.0, 0.0, 0.0, 1.0])


def _state(
    *,
    block: tuple[float, float, float] = (0.4, 0.0, 0.02),
    ee: tuple[float, float, float] = (0.5, 0.1, 0.2),
    opening: float = 1.0,
    peak_m: float = 0.02,
) -> WorldState:
    places = dict.fromkeys(COLORS, (0.35, 0.2, 0.02)) | {'red': block}
    objects = {name: Pose(np.array(place), UPRIGHT) for name, place in places.items()}
    objects[DISC] = Pose(np.array([0.5, 0.1, 0.0]), UPRIGHT)
    return WorldState(
        ee=Pose(np.array(ee), UPRIGHT),
        gripper_opening=opening,
        objects=objects,
        peak_heights_m={'red': peak_m},
    )


def test_there_are_sixteen_instructions() -> None:
    assert len(set(INSTRUCTIONS)) == 16
    assert [Task.parse(text) for text in INSTRUCTIONS] == list(TASKS)


@pytest.mark.parametrize('text', ['Lift  the RED block.', ' lift the red block\n'])
def test_parsing_ignores_case_and_spacing(text: str) -> None:
    assert Task.parse(text) == Task('lift', 'red')


@pytest.mark.parametrize('text', ['', 'dance', 'lift the purple block', 'lift the red block now'])
def test_an_unknown_instruction_names_examples(text: str) -> None:
    with pytest.raises(ParameterError, match=f"unknown instruction '{text}'; try 'reach the red"):
        Task.parse(text)


def test_a_task_needs_a_known_verb_and_colour() -> None:
    with pytest.raises(ParameterError, match="no task 'throw' for 'red'; verbs: reach, push"):
        Task('throw', 'red')
    with pytest.raises(ParameterError, match=r"no task 'lift' for 'pink'.*colours: red, green"):
        Task('lift', 'pink')


@pytest.mark.parametrize(
    ('ee', 'success'),
    [
        ((0.4, 0.0, 0.02), True),
        ((0.419, 0.0, 0.02), True),
        ((0.421, 0.0, 0.02), False),
        ((0.4, 0.0, 0.044), True),
        ((0.4, 0.0, 0.046), False),
    ],
)
def test_reach(ee: tuple[float, float, float], success: bool) -> None:
    assert Task('reach', 'red').success(_state(ee=ee)) is success
    assert not Task('reach', 'green').success(_state(ee=ee))


@pytest.mark.parametrize(
    ('block', 'ee', 'success'),
    [
        ((0.4, 0.0, 0.081), (0.4, 0.0, 0.09), True),
        ((0.4, 0.0, 0.079), (0.4, 0.0, 0.09), False),
        ((0.4, 0.0, 0.081), (0.4, 0.0, 0.12), False),
    ],
)
def test_lift(
    block: tuple[float, float, float], ee: tuple[float, float, float], success: bool
) -> None:
    assert Task('lift', 'red').success(_state(block=block, ee=ee)) is success


@pytest.mark.parametrize(
    ('x', 'z', 'peak_m', 'success'),
    [
        (0.534, 0.02, 0.02, True),
        (0.536, 0.02, 0.02, False),
        (0.5, 0.027, 0.027, False),
        (0.5, 0.02, 0.034, True),
        (0.5, 0.02, 0.036, False),
    ],
)
def test_a_push_ends_on_the_disc_and_never_leaves_the_table(
    x: float, z: float, peak_m: float, success: bool
) -> None:
    assert Task('push', 'red').success(_state(block=(x, 0.1, z), peak_m=peak_m)) is success


@pytest.mark.parametrize(
    ('opening', 'ee_z', 'success'), [(0.7, 0.06, True), (0.6, 0.06, False), (0.7, 0.04, False)]
)
def test_place_means_letting_go(opening: float, ee_z: float, success: bool) -> None:
    state = _state(block=(0.5, 0.1, 0.02), ee=(0.5, 0.1, ee_z), opening=opening, peak_m=0.1)
    assert Task('place', 'red').success(state) is success


def test_place_means_on_the_disc() -> None:
    beside = 0.5 + THRESHOLDS.on_disc_m + 0.001
    assert not Task('place', 'red').success(_state(block=(beside, 0.1, 0.02)))
