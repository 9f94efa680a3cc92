"""
Motions of the scripted expert, each a function of the present state and nothing else.

Heights blend over wide funnels, because a hard threshold teaches an imitator to hover before it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import mink
import numpy as np
from numpy.typing import NDArray

from sara_ros.sim.action_space import MAX_STEP_M, MAX_STEP_RAD
from sara_ros.sim.arm import TOOL_DOWN
from sara_ros.sim.scene import BLOCK_HALF_M, COLORS, DISC
from sara_ros.sim.state import Float64Array, WorldState
from sara_ros.sim.tasks import THRESHOLDS

Action = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Tuning:
    """
    Lengths in m, gains per step, openings from 0 to 1.

    :param gain: part of the error removed in one step; 0.3 is still calm with two steps of delay.
    :param funnel_in_m: sideways error below which the hand is all the way down.
    :param funnel_out_m: sideways error above which it stays at full height.
    :param press_m: how far below the disc a held block is aimed, so that it does not hover.
    :param release_height_m: below this height over the disc a held block is let go of.
    :param release_aside_m: the same for the distance from the disc's middle.
    :param run_up_m: how far behind the block the pusher comes down.
    :param contact_m: least distance of the pusher from the block's centre while it pushes.
    """

    gain: float = 0.3
    funnel_in_m: float = 0.016
    funnel_out_m: float = 0.045
    hover_m: float = 0.075
    carry_height_m: float = 0.08
    press_m: float = 0.008
    release_height_m: float = 0.012
    release_aside_m: float = 0.030
    lift_height_m: float = 0.15
    low_height_m: float = 0.03
    safe_height_m: float = 0.075
    around_horizontal_m: float = 0.015
    around_vertical_m: float = 0.02
    catch_horizontal_m: float = 0.03
    catch_vertical_m: float = 0.045
    held_opening: float = 0.6
    clear_opening: float = 0.75
    push_height_m: float = 0.022
    run_up_m: float = 0.052
    landing_m: float = 0.060
    contact_m: float = 0.022
    push_top_m: float = 0.05
    push_straight_m: float = 0.008
    push_aside_m: float = 0.026
    reach_back_m: float = 0.085
    push_speed_m: float = 0.022
    push_slow_m: float = 0.007


TUNING: Final = Tuning()


def stop(state: WorldState, opening: float) -> Action:
    """Stand still and terminate."""
    done = _action(np.zeros(3), state, state.ee.yaw_rad, opening)
    done[0], done[1:7] = 1.0, 0.0
    return done


def approach(state: WorldState, color: str, *, grasp: bool) -> Action:
    """Lower the open gripper around a block, and close it there if ``grasp``."""
    block = state.objects[color]
    opening = 0.0 if grasp and _around(state, color) else 1.0
    aside = float(np.linalg.norm(state.ee.position[:2] - block.position[:2]))
    height = _ramp(aside, TUNING.funnel_in_m, TUNING.funnel_out_m)
    if state.ee.position[2] - block.position[2] > TUNING.around_vertical_m:
        height = max(height, _ramp(0.9 - state.gripper_opening, 0.0, 0.2))
    goal = _above(block.position, height * TUNING.hover_m)
    return _towards(goal, state, _square_yaw(block.yaw_rad), opening)


def raise_block(state: WorldState) -> Action:
    """Lift what the gripper holds."""
    goal = _above(state.ee.position * (1, 1, 0), TUNING.lift_height_m)
    return _towards(goal, state, 0.0, 0.0)


def carry_to_disc(state: WorldState, color: str) -> Action:
    """Carry the held block over the disc and down onto it."""
    block, disc = state.objects[color].position, state.objects[DISC].position
    aside = float(np.linalg.norm(block[:2] - disc[:2]))
    height = _ramp(aside, TUNING.funnel_in_m, TUNING.funnel_out_m)
    goal = disc + (state.ee.position - block)
    goal[2] += BLOCK_HALF_M - TUNING.press_m + height * TUNING.carry_height_m
    return _towards(goal, state, 0.0, 0.0)


def retreat(state: WorldState) -> Action:
    """Open, and rise as far as the fingers are clear of the block."""
    clear = _ramp(state.gripper_opening, TUNING.held_opening, TUNING.clear_opening)
    goal = _above(state.ee.position, clear * TUNING.hover_m)
    return _towards(goal, state, state.ee.yaw_rad, 1.0)


def put_down(state: WorldState, color: str) -> Action:
    """Lower a block that is between the fingers, then let go of it and rise."""
    height = float(state.objects[color].position[2]) - BLOCK_HALF_M
    lowered = float(state.ee.position[2]) < TUNING.low_height_m
    if height > THRESHOLDS.resting_height_m and not lowered:
        return _towards(_above(state.ee.position, -height), state, 0.0, 0.0)
    return retreat(state)


def push_to_disc(state: WorldState, color: str) -> Action:
    """Get behind the block with closed fingers, down to its height, and drive it to the disc."""
    block, disc = state.objects[color].position, state.objects[DISC].position
    gap = (disc - block)[:2]
    distance = float(np.linalg.norm(gap))
    ahead = gap / max(distance, 1e-6)
    offset = (state.ee.position - block)[:2]
    along = float(offset @ ahead)
    aside = offset - along * ahead
    miss = float(np.linalg.norm(aside))
    low = 1 - _ramp(float(state.ee.position[2]), TUNING.low_height_m, TUNING.push_top_m)
    height = _push_height(state, along, miss, low)
    goal = block - (*ahead * TUNING.landing_m, 0.0)
    goal[2] = TUNING.push_height_m + height * TUNING.hover_m
    landing = _towards(goal, state, 0.0, 0.0)
    speed = np.clip(TUNING.gain * distance, TUNING.push_slow_m, TUNING.push_speed_m)
    pushing = np.zeros(3)
    pushing[:2] = ahead * speed * _push_forward(along, miss) - TUNING.gain * aside
    pushing[2] = landing[3]
    landing[1:4] = _shortened(
        (1 - height) * low * pushing + (1 - (1 - height) * low) * landing[1:4]
    )
    return landing


def held(state: WorldState, color: str) -> bool:
    """Tell whether the closed fingers hold the block."""
    gap = state.ee.position - state.objects[color].position
    return bool(
        np.linalg.norm(gap) < THRESHOLDS.held_distance_m
        and 0.3 < state.gripper_opening < TUNING.held_opening
    )


def caught(state: WorldState) -> str | None:
    """Return the colour of a block that closing fingers would grip, or grip already."""
    for color in COLORS:
        gap = state.ee.position - state.objects[color].position
        over = np.linalg.norm(gap[:2]) < TUNING.catch_horizontal_m
        open_over = over and gap[2] < TUNING.catch_vertical_m and state.gripper_opening > 0.3
        if held(state, color) or open_over:
            return color
    return None


def _push_height(state: WorldState, along: float, miss: float, low: float) -> float:
    """
    Say how high the pusher should be: 0 down, 1 hovering.

    A hand that is already low may be closer to the block, and farther aside, than one that
    would land on it.
    """
    front = -TUNING.run_up_m + low * (TUNING.run_up_m - TUNING.contact_m)
    sideways = max(0.0, miss - low * TUNING.push_aside_m)
    beyond = max(0.0, along - front, -TUNING.reach_back_m - along)
    height = _ramp(float(np.hypot(sideways, beyond)), TUNING.funnel_in_m, TUNING.funnel_out_m)
    open_still = _ramp(state.gripper_opening, 0.2, 0.4) * (1 - low)
    return max(height, open_still)


def _push_forward(along: float, miss: float) -> float:
    """Say how fast to push: 1 when the hand is straight behind, below 0 to back off first."""
    forward = 1 - 2 * _ramp(miss, TUNING.push_straight_m, TUNING.push_aside_m)
    backed_off = _ramp(-along, TUNING.contact_m, TUNING.run_up_m)
    return forward if forward > 0 else forward * (1 - backed_off)


def _around(state: WorldState, color: str) -> bool:
    gap = state.ee.position - state.objects[color].position
    return bool(
        np.linalg.norm(gap[:2]) < TUNING.around_horizontal_m
        and abs(gap[2]) < TUNING.around_vertical_m
    )


def _towards(goal: Float64Array, state: WorldState, yaw_rad: float, opening: float) -> Action:
    """Step towards ``goal``; on the way up, sideways moves wait for a safe height."""
    step = TUNING.gain * (goal - state.ee.position)
    if goal[2] - state.ee.position[2] > 0.01:
        height = float(state.ee.position[2])
        step[:2] *= _ramp(height, TUNING.low_height_m, TUNING.safe_height_m)
    return _action(step, state, yaw_rad, opening)


def _action(step: Float64Array, state: WorldState, yaw_rad: float, opening: float) -> Action:
    upright = mink.SO3.exp(np.array([0.0, 0.0, yaw_rad])) @ TOOL_DOWN
    actual = mink.SO3(np.roll(state.ee.quaternion, 1))
    turn = TUNING.gain * (upright @ actual.inverse()).log()
    turn = np.clip(turn, -MAX_STEP_RAD, MAX_STEP_RAD)
    return np.concatenate([[0.0], _shortened(step), turn, [opening]]).astype(np.float32)


def _shortened(step: NDArray[np.floating]) -> Float64Array:
    """Scale a step down to the largest that an action may take."""
    longest = max(float(np.abs(step).max()), 1e-9)
    return np.asarray(step * min(1.0, MAX_STEP_M / longest), np.float64)


def _above(position: Float64Array, height_m: float) -> Float64Array:
    return np.add(position, (0.0, 0.0, height_m))


def _square_yaw(yaw_rad: float) -> float:
    """Return the smallest turn that aligns the fingers with two faces of a block."""
    quarter = np.pi / 2
    return float((yaw_rad + quarter / 2) % quarter - quarter / 2)


def _ramp(value: float, low: float, high: float) -> float:
    """Rise from 0 at ``low`` to 1 at ``high``."""
    return float(np.clip((value - low) / (high - low), 0, 1))
