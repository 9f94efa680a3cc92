"""Variations by name: each draws its part of an episode's conditions from the episode's seed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from sara_ros.core import ParameterError
from sara_ros.sim.conditions import (
    SHAPES,
    STANDARD,
    CameraShift,
    Conditions,
    DepthNoise,
    Distractor,
    Light,
    Vector,
)
from sara_ros.sim.layout import Points
from sara_ros.sim.scene import COLORS, DISTRACTOR_SLOTS, FRONT, WRIST
from sara_ros.sim.state import Float64Array, WorldState
from sara_ros.sim.tasks import TabletopTask
from sara_ros.sim.wordings import paraphrase


@dataclass(frozen=True, slots=True)
class Ranges:
    """
    How far the variations go; pairs are the ends of uniform distributions.

    :param light_turn_rad: the lamp's heading from where it was in training, to either side.
    :param light_fall: its slope: the vertical part of its direction for a horizontal part of 1.
    :param light_strength: brightness against that in training.
    :param light_tint: how far each colour channel is off.
    :param front_shift_m: per axis; the camera is 1 m from the table.
    :param distractor_gap_m: least distance of a distractor's centre from blocks and disc.
    """

    light_turn_rad: tuple[float, float] = (1.2, 3.1)
    light_fall: tuple[float, float] = (0.8, 2.0)
    light_strength: tuple[float, float] = (0.55, 1.25)
    light_tint: float = 0.12
    front_shift_m: float = 0.010
    front_turn_rad: float = 0.015
    wrist_shift_m: float = 0.002
    wrist_turn_rad: float = 0.015
    distractors: tuple[int, int] = (2, DISTRACTOR_SLOTS)
    distractor_gap_m: float = 0.085
    distractor_low_m: tuple[float, float] = (0.30, -0.28)
    distractor_high_m: tuple[float, float] = (0.64, 0.28)
    depth_spread_m: tuple[float, float] = (0.001, 0.003)
    depth_dropout: tuple[float, float] = (0.02, 0.10)
    delay_steps: tuple[int, int] = (1, 3)


RANGES: Final = Ranges()

LIGHT_HEADING_RAD: Final = float(np.arctan2(0.5, -0.45))
"""Heading of the lamp's direction in training."""

_LAMP: Final = np.array([0.55, 0.54, 0.52])
_AMBIENT: Final = np.array([0.32, 0.32, 0.33])
_COLORS: Final = (
    (0.10, 0.75, 0.80), (0.95, 0.45, 0.70), (0.45, 0.28, 0.15), (0.12, 0.12, 0.13),
    (0.96, 0.96, 0.94), (0.55, 0.57, 0.60),
)  # fmt: skip
"""Cyan, pink, brown, black, white and grey: colours of no block and not the disc's."""


@dataclass(frozen=True, slots=True, eq=False)
class Start:
    """What a variation may depend on: the task, and where everything is when it begins."""

    task: TabletopTask
    state: WorldState


Draw = Callable[[Conditions, Start, np.random.Generator], Conditions]


def draw_light(conditions: Conditions, start: Start, rng: np.random.Generator) -> Conditions:
    """Turn, tilt, dim and tint the lamp, and dim the light from everywhere."""
    heading = LIGHT_HEADING_RAD + rng.choice([-1, 1]) * rng.uniform(*RANGES.light_turn_rad)
    direction = (float(np.cos(heading)), float(np.sin(heading)), -rng.uniform(*RANGES.light_fall))
    tint = 1 + rng.uniform(-RANGES.light_tint, RANGES.light_tint, 3)
    lamp = _LAMP * tint * rng.uniform(*RANGES.light_strength)
    ambient = _AMBIENT * tint * rng.uniform(*RANGES.light_strength)
    return replace(conditions, light=Light(direction, _vector(lamp), _vector(ambient)))


def draw_cameras(conditions: Conditions, start: Start, rng: np.random.Generator) -> Conditions:
    """Shift and turn both cameras that policies see through."""
    shifts = {}
    for name, metres, radians in (
        (FRONT.name, RANGES.front_shift_m, RANGES.front_turn_rad),
        (WRIST.name, RANGES.wrist_shift_m, RANGES.wrist_turn_rad),
    ):
        shifts[name] = CameraShift(
            _vector(rng.uniform(-metres, metres, 3)), _vector(rng.uniform(-radians, radians, 3))
        )
    return replace(conditions, cameras=shifts)


def draw_distractors(conditions: Conditions, start: Start, rng: np.random.Generator) -> Conditions:
    """Put objects that no task names where they are in nobody's way."""
    low, high = RANGES.distractors
    placed: list[Distractor] = []
    points = {name: pose.position for name, pose in start.state.objects.items()}
    for _ in range(int(rng.integers(low, high + 1))):
        spot = _free_spot(points, start.task, rng)
        if spot is None:
            continue
        points = {**points, f'distractor_{len(placed)}': spot}
        size = (float(rng.uniform(0.012, 0.024)), float(rng.uniform(0.010, 0.022)))
        shape = SHAPES[rng.integers(len(SHAPES))]
        color = _COLORS[rng.integers(len(_COLORS))]
        yaw_rad = float(rng.uniform(-1.5, 1.5))
        placed.append(Distractor(shape, float(spot[0]), float(spot[1]), yaw_rad, size, color))
    return replace(conditions, distractors=tuple(placed))


def draw_wording(conditions: Conditions, start: Start, rng: np.random.Generator) -> Conditions:
    """Say the task in words that no policy was trained on."""
    return replace(conditions, wording=paraphrase(start.task, rng))


def draw_depth_noise(conditions: Conditions, start: Start, rng: np.random.Generator) -> Conditions:
    """Give the depth camera noise and holes."""
    noise = DepthNoise(
        float(rng.uniform(*RANGES.depth_spread_m)),
        float(rng.uniform(*RANGES.depth_dropout)),
        int(rng.integers(2**31)),
    )
    return replace(conditions, depth=noise)


def draw_latency(conditions: Conditions, start: Start, rng: np.random.Generator) -> Conditions:
    """Have each action answer an observation of 50 to 150 ms before."""
    low, high = RANGES.delay_steps
    return replace(conditions, delay_steps=int(rng.integers(low, high + 1)))


VARIATIONS: Final[dict[str, Draw]] = {
    'lighting': draw_light,
    'camera-jitter': draw_cameras,
    'distractors': draw_distractors,
    'paraphrase': draw_wording,
    'depth-noise': draw_depth_noise,
    'latency': draw_latency,
}


def draw_conditions(
    variations: Sequence[str], seed: int, task: TabletopTask, state: WorldState
) -> Conditions:
    """
    Return the conditions of the episode with ``seed`` that begins in ``state``.

    A variation draws the same whichever others are on.

    :raises ParameterError: for a name that is not in ``VARIATIONS``.
    """
    check_variations(variations)
    start, conditions = Start(task, state), STANDARD
    for index, (name, draw) in enumerate(VARIATIONS.items()):
        if name in variations:
            conditions = draw(conditions, start, np.random.default_rng([seed, 7, index]))
    return conditions


def check_variations(names: Sequence[str]) -> None:
    """
    Check that every name is one of ``VARIATIONS``.

    :raises ParameterError: naming the one that is not, and those that are.
    """
    for name in names:
        if name not in VARIATIONS:
            raise ParameterError(f"no variation '{name}'; known: {', '.join(VARIATIONS)}")


def _free_spot(
    points: Points, task: TabletopTask, rng: np.random.Generator
) -> Float64Array | None:
    for _ in range(60):
        spot = rng.uniform(RANGES.distractor_low_m, RANGES.distractor_high_m)
        near = min(float(np.linalg.norm(spot - place[:2])) for place in points.values())
        if near >= RANGES.distractor_gap_m and not _in_the_way(points, spot, task):
            return spot
    return None


def _in_the_way(points: Points, spot: Float64Array, task: TabletopTask) -> bool:
    """Ask the task about a layout in which a block that it does not name stands at the spot."""
    named = (task.color, getattr(task, 'other', ''))
    bystander = next(color for color in COLORS if color not in named)
    return not task.has_room({**points, bystander: spot})


def _vector(values: Float64Array) -> Vector:
    x, y, z = (float(value) for value in values)
    return (x, y, z)
