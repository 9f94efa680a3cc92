"""Tests of random layouts."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from sara_ros.sim.layout import RULES, corridor_clear, sample_layout
from sara_ros.sim.scene import BLOCK_HALF_M, COLORS, DISC
from sara_ros.sim.tasks import Task


def _points(layout: dict[str, tuple[float, float, float]]) -> dict[str, np.ndarray]:
    return {name: np.array(place[:2]) for name, place in layout.items()}


@pytest.mark.parametrize('seed', range(40))
def test_objects_stand_apart_and_within_reach(seed: int) -> None:
    points = _points(sample_layout(np.random.default_rng(seed)))
    for first, second in itertools.combinations(COLORS, 2):
        assert np.linalg.norm(points[first] - points[second]) > 4 * BLOCK_HALF_M
    for color in COLORS:
        assert np.linalg.norm(points[color] - points[DISC]) >= RULES.disc_gap_m
        assert (points[color] >= RULES.block_low_m).all()
        assert (points[color] <= RULES.block_high_m).all()


@pytest.mark.parametrize('color', COLORS)
def test_the_way_of_a_pushed_block_is_clear(color: str) -> None:
    for seed in range(20):
        points = _points(sample_layout(np.random.default_rng(seed), Task('push', color).has_room))
        assert corridor_clear(points, color)


def test_a_block_in_the_way_is_noticed() -> None:
    points = {
        'red': np.array([0.35, 0.0]),
        'green': np.array([0.45, 0.01]),
        'blue': np.array([0.35, 0.2]),
        'yellow': np.array([0.55, 0.2]),
        DISC: np.array([0.54, 0.0]),
    }
    assert not corridor_clear(points, 'red')
    assert corridor_clear(points | {'green': np.array([0.45, 0.1])}, 'red')
    assert not corridor_clear(points | {'green': np.array([0.28, 0.0])}, 'red')
