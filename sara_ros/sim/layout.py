"""Random places for blocks and disc: apart, within reach, and with room for the task."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from sara_ros.sim.scene import COLORS, DISC
from sara_ros.sim.state import Float64Array

Layout = dict[str, tuple[float, float, float]]
"""Object name to x (m), y (m) and yaw (rad)."""

Points = Mapping[str, Float64Array]
"""Object name to x and y, or x, y and z (m)."""


@dataclass(frozen=True, slots=True)
class LayoutRules:
    """Where objects may stand, in ``base_link``."""

    block_low_m: tuple[float, float] = (0.34, -0.20)
    block_high_m: tuple[float, float] = (0.58, 0.20)
    disc_low_m: tuple[float, float] = (0.38, -0.15)
    disc_high_m: tuple[float, float] = (0.54, 0.15)
    max_yaw_rad: float = 0.4
    block_gap_m: float = 0.085
    disc_gap_m: float = 0.10
    corridor_half_width_m: float = 0.065
    corridor_run_up_m: float = 0.06


RULES: Final = LayoutRules()


def sample_layout(
    rng: np.random.Generator, has_room: Callable[[Points], bool] | None = None
) -> Layout:
    """
    Draw a layout; where ``has_room`` is given, it accepts where the objects are.

    :raises RuntimeError: when no layout is found, which would mean contradicting rules.
    """
    for _ in range(10_000):
        points = _draw(rng)
        if _apart(points) and (has_room is None or has_room(points)):
            yaws = rng.uniform(-RULES.max_yaw_rad, RULES.max_yaw_rad, len(COLORS))
            headings = dict(zip(COLORS, yaws, strict=True))
            return {
                name: (float(x), float(y), float(headings.get(name, 0.0)))
                for name, (x, y) in points.items()
            }
    raise RuntimeError(f'no layout satisfies {RULES}')


def corridor_clear(points: Points, color: str) -> bool:
    """Tell whether no other block stands where ``color`` and the pusher pass to the disc."""
    start, end = points[color][:2], points[DISC][:2]
    direction = (end - start) / max(float(np.linalg.norm(end - start)), 1e-9)
    start = start - direction * RULES.corridor_run_up_m
    length = float((end - start) @ direction)
    for name in COLORS:
        if name == color:
            continue
        offset = points[name][:2] - start
        along = float(np.clip(offset @ direction, 0, length))
        if np.linalg.norm(offset - along * direction) < RULES.corridor_half_width_m:
            return False
    return True


def _draw(rng: np.random.Generator) -> dict[str, Float64Array]:
    blocks = rng.uniform(RULES.block_low_m, RULES.block_high_m, (len(COLORS), 2))
    points = dict(zip(COLORS, blocks, strict=True))
    points[DISC] = rng.uniform(RULES.disc_low_m, RULES.disc_high_m)
    return points


def _apart(points: Points) -> bool:
    blocks = np.stack([points[color] for color in COLORS])
    gaps = np.linalg.norm(blocks[:, None] - blocks[None], axis=-1)
    gaps += np.eye(len(COLORS)) * 9
    to_disc = np.linalg.norm(blocks - points[DISC], axis=-1)
    return bool(gaps.min() >= RULES.block_gap_m and to_disc.min() >= RULES.disc_gap_m)
