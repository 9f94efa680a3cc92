"""Variations by name: each draws its part of an episode's conditions from the episode's seed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
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
from sara_ros.sim.wordings import LEARNED, PARAPHRASES, Templates, paraphrase


@dataclass(frozen=True, slots=True)
class Ranges:
    """
    How far the variations go; pairs are the ends of uniform distributions.

    :param light_turn_rad: the lamp's heading from where it usually is, to either side.
    :param light_fall: its slope: the vertical part of its direction for a horizontal part of 1.
    :param light_strength: brightness against the usual one.
    :param light_tint: how far each colour channel is off.
    :param front_shift_m: per axis, to either side; the camera is 1 m from the table.
    :param front_turn_rad: about each axis, to either side; as the shift and the turn of the wrist.
    :param distractors: how many, both ends included.
    :param distractor_gap_m: least distance of a distractor's centre from blocks and disc.
    :param distractor_low_m: x and y of the corner of where they may be; the other is the high.
    :param depth_spread_m: standard deviation at 1 m.
    :param depth_dropout: share of the pixels without a depth.
    :param delay_steps: between an observation and the action on it, both ends included.
    :param distractor_colors: colours of no block and not the disc's.
    :param templates: sentences by verb.
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
    distractor_colors: tuple[Vector, ...] = (
        (0.10, 0.75, 0.80), (0.95, 0.45, 0.70), (0.45, 0.28, 0.15), (0.12, 0.12, 0.13),
        (0.96, 0.96, 0.94), (0.55, 0.57, 0.60),
    )  # fmt: skip
    templates: Templates = field(default_factory=lambda: PARAPHRASES)


RANGES: Final = Ranges()
"""Of the suites; the colours are cyan, pink, brown, black, white and grey."""

TRAINING_RANGES: Final = Ranges(
    light_turn_rad=(0.0, 1.0), light_fall=(1.0, 1.8), light_strength=(0.7, 1.1), light_tint=0.08,
    front_shift_m=0.006, front_turn_rad=0.009, wrist_shift_m=0.0012, wrist_turn_rad=0.009,
    distractors=(1, 3), depth_spread_m=(0.0005, 0.002), depth_dropout=(0.01, 0.06),
    delay_steps=(1, 2), templates=LEARNED,
    distractor_colors=((0.98, 0.60, 0.15), (0.05, 0.40, 0.40), (0.75, 0.70, 0.60)),
)  # fmt: skip
"""
Within those of the suites, and without what these have of their own: light from behind, some
colours, and every sentence.
"""

LIGHT_HEADING_RAD: Final = float(np.arctan2(0.5, -0.45))
"""Heading of the lamp's usual direction."""

_LAMP: Final = np.array([0.55, 0.54, 0.52])
_AMBIENT: Final = np.array([0.32, 0.32, 0.33])


@dataclass(frozen=True, slots=True, eq=False)
class Start:
    """What a variation may depend on: the task, where everything is, and how far it may go."""

    task: TabletopTask
    state: WorldState
    ranges: Ranges = RANGES


Draw = Callable[[Conditions, Start, np.random.Generator], Conditions]


def draw_light(conditions: Conditions, start: Start, rng: np.random.Generator) -> Conditions:
    """Turn, tilt, dim and tint the lamp, and dim the light from everywhere."""
    ranges = start.ranges
    heading = LIGHT_HEADING_RAD + rng.choice([-1, 1]) * rng.uniform(*ranges.light_turn_rad)
    direction = (float(np.cos(heading)), float(np.sin(heading)), -rng.uniform(*ranges.light_fall))
    tint = 1 + rng.uniform(-ranges.light_tint, ranges.light_tint, 3)
    lamp = _LAMP * tint * rng.uniform(*ranges.light_strength)
    ambient = _AMBIENT * tint * rng.uniform(*ranges.light_strength)
    return replace(conditions, light=Light(direction, _vector(lamp), _vector(ambient)))


def draw_cameras(conditions: Conditions, start: Start, rng: np.random.Generator) -> Conditions:
    """Shift and turn both cameras that policies see through."""
    shifts, ranges = {}, start.ranges
    for name, metres, radians in (
        (FRONT.name, ranges.front_shift_m, ranges.front_turn_rad),
        (WRIST.name, ranges.wrist_shift_m, ranges.wrist_turn_rad),
    ):
        shifts[name] = CameraShift(
            _vector(rng.uniform(-metres, metres, 3)), _vector(rng.uniform(-radians, radians, 3))
        )
    return replace(conditions, cameras=shifts)


def draw_distractors(conditions: Conditions, start: Start, rng: np.random.Generator) -> Conditions:
    """Put objects that no task names where they are in nobody's way."""
    ranges = start.ranges
    low, high = ranges.distractors
    placed: list[Distractor] = []
    points = {name: pose.position for name, pose in start.state.objects.items()}
    for _ in range(int(rng.integers(low, high + 1))):
        spot = _free_spot(points, start, rng)
        if spot is None:
            continue
        points = {**points, f'distractor_{len(placed)}': spot}
        size = (float(rng.uniform(0.012, 0.024)), float(rng.uniform(0.010, 0.022)))
        shape = SHAPES[rng.integers(len(SHAPES))]
        color = ranges.distractor_colors[rng.integers(len(ranges.distractor_colors))]
        yaw_rad = float(rng.uniform(-1.5, 1.5))
        placed.append(Distractor(shape, float(spot[0]), float(spot[1]), yaw_rad, size, color))
    return replace(conditions, distractors=tuple(placed))


def draw_wording(conditions: Conditions, start: Start, rng: np.random.Generator) -> Conditions:
    """Say the task in another sentence."""
    return replace(conditions, wording=paraphrase(start.task, rng, start.ranges.templates))


def draw_depth_noise(conditions: Conditions, start: Start, rng: np.random.Generator) -> Conditions:
    """Give the depth camera noise and holes."""
    noise = DepthNoise(
        float(rng.uniform(*start.ranges.depth_spread_m)),
        float(rng.uniform(*start.ranges.depth_dropout)),
        int(rng.integers(2**31)),
    )
    return replace(conditions, depth=noise)


def draw_latency(conditions: Conditions, start: Start, rng: np.random.Generator) -> Conditions:
    """Have each action answer an observation of 50 to 150 ms before."""
    low, high = start.ranges.delay_steps
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
    variations: Sequence[str],
    seed: int,
    task: TabletopTask,
    state: WorldState,
    ranges: Ranges = RANGES,
) -> Conditions:
    """
    Return the conditions of the episode with ``seed`` that begins in ``state``.

    A variation draws the same whichever others are on.

    :raises ParameterError: for a name that is not in ``VARIATIONS``.
    """
    check_variations(variations)
    start, conditions = Start(task, state, ranges), STANDARD
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


def _free_spot(points: Points, start: Start, rng: np.random.Generator) -> Float64Array | None:
    ranges = start.ranges
    for _ in range(60):
        spot = rng.uniform(ranges.distractor_low_m, ranges.distractor_high_m)
        near = min(float(np.linalg.norm(spot - place[:2])) for place in points.values())
        if near >= ranges.distractor_gap_m and not _in_the_way(points, spot, start.task):
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
