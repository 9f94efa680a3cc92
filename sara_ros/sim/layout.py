"""Random places for blocks and disc: apart, within reach, and with room for the task."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from sara_ros.sim.scene import COLORS, DISC
from sara_ros.sim.state import Float64Array

Layout = dict[str, tuple[float, float, float]]
"""Object name to x (m), y (m) and yaw (rad)."""


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


def sample_layout(rng: np.random.Generator, push_color: str | None = None) -> Layout:
    """
    Draw a layout; when ``push_color`` is given, that block's way to the disc is clear.

    :raises RuntimeError: when no layout is found, which would mean contradicting rules.
    """
    for _ in range(10_000):
        points = _draw(rng)
        if _apart(points) and (push_color is None or corridor_clear(points, push_color)):
            yaws = rng.uniform(-RULES.max_yaw_rad, RULES.max_yaw_rad, len(COLORS))
            headings = dict(zip(COLORS, yaws, strict=True))
            return {
                name: (float(x), float(y), float(headings.get(name, 0.0)))
                for name, (x, y) in points.items()
            }
    raise RuntimeError(f'no layout satisfies {RULES}')


def corridor_clear(points: dict[str, Float64Array], color: str) -> bool:
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


def _apart(points: dict[str, Float64Array]) -> bool:
    blocks = np.stack([points[color] for color in COLORS])
    gaps = np.linalg.norm(blocks[:, None] - blocks[None], axis=-1)
    gaps += np.eye(len(COLORS)) * 9
    to_disc = np.linalg.norm(blocks - points[DISC], axis=-1)
    return bool(gaps.min() >= RULES.block_gap_m and to_disc.min() >= RULES.disc_gap_m)
