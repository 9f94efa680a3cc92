"""A fixed rate out of stamps that are early, late, too many or too few."""

import pytest

from sara_ros.evaluation.dataset.grid import FrameGrid

MS = 1_000_000


def picked(fps, stamps_ms):
    """Return the item of each instant, its moment in ms, and whether it was there before."""
    grid = FrameGrid(fps, stamps_ms[0] * MS, 0)
    picks = [
        pick for item, stamp_ms in enumerate(stamps_ms[1:], 1)
        for pick in grid.add(stamp_ms * MS, item)
    ]  # fmt: skip
    return [(each.item, each.at_ns / MS, each.repeated) for each in [*picks, *grid.close()]]


@pytest.mark.parametrize(
    ('stamps_ms', 'items'),
    [
        ((0, 100, 200, 300), [0, 1, 2, 3]),
        ((0, 104, 196, 303), [0, 1, 2, 3]),
        ((0, 50, 100, 150, 200), [0, 2, 4]),
        ((0, 200, 400), [0, 0, 1, 1, 2]),
        ((0, 100, 300), [0, 1, 1, 2]),
        ((0, 40), [0]),
        ((0,), [0]),
    ],
)
def test_the_nearest_of_each_instant(stamps_ms, items):
    assert [item for item, _, _ in picked(10, stamps_ms)] == items


def test_a_frame_is_of_its_own_moment_and_a_repeated_one_of_the_instant():
    """So that its action is the one of then."""
    assert picked(10, (0, 104, 300)) == [
        (0, 0, False), (1, 104, False), (1, 200, True), (2, 300, False),
    ]  # fmt: skip
