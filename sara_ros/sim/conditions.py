"""What one episode may differ in from the standard suite, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

Vector = tuple[float, float, float]

SHAPES: Final = ('ball', 'can', 'bar')
"""Shapes of distractors: a sphere, a cylinder, and a box that is no cube."""


@dataclass(frozen=True, slots=True)
class Light:
    """
    Light from ``direction`` (a vector that points from the lamp into the scene) and everywhere.

    Colours are red, green and blue from 0 to 1.
    """

    direction: Vector
    diffuse: Vector
    ambient: Vector


@dataclass(frozen=True, slots=True)
class CameraShift:
    """How far a camera is from where it should be: metres and a rotation vector, its own axes."""

    offset_m: Vector
    turn_rad: Vector


@dataclass(frozen=True, slots=True)
class Distractor:
    """
    An object on the table that no task names.

    :param shape: one of ``SHAPES``.
    :param size_m: half its width and half its height.
    :param rgb: its colour, from 0 to 1.
    """

    shape: str
    x_m: float
    y_m: float
    yaw_rad: float
    size_m: tuple[float, float]
    rgb: Vector


@dataclass(frozen=True, slots=True)
class DepthNoise:
    """
    What a depth camera gets wrong.

    :param spread_m: standard deviation at 1 m; it grows with the square of the distance.
    :param dropout: share of pixels without a depth.
    :param seed: of the noise; frames differ, episodes with the same seed do not.
    """

    spread_m: float
    dropout: float
    seed: int


@dataclass(frozen=True, slots=True)
class Conditions:
    """
    One episode's differences from the standard suite; the default has none.

    :param light: ``None`` as built.
    :param cameras: shifts by the name of the camera.
    :param wording: the instruction in other words; empty as the task states it.
    :param depth: ``None`` for exact depth.
    :param delay_steps: steps between an observation and the action that answers it; ``None`` as
        whoever plays the episode has it.
    """

    light: Light | None = None
    cameras: Mapping[str, CameraShift] = field(default_factory=dict)
    distractors: tuple[Distractor, ...] = ()
    wording: str = ''
    depth: DepthNoise | None = None
    delay_steps: int | None = None


STANDARD: Final = Conditions()
