"""Which frames stand for the past."""

import pytest
import torch

from sara_ros.policies.frame_history import FrameHistory

MS = 1_000_000


def numbers(frames):
    """Return the frames as numbers."""
    return [int(frame) for frame in frames]


def shown(history, stamps_ms):
    """Add a frame a stamp, each the index of its own, and return what is picked at the end."""
    for index, stamp in enumerate(stamps_ms):
        picked = history.add(round(stamp * MS), torch.tensor(index))
    return numbers(picked)


def test_the_first_frame_stands_for_those_before_it():
    """At the start of a run the past repeats the first frame."""
    history = FrameHistory(3, 0.1, 0.05)
    assert shown(history, [1000]) == [0, 0, 0]
    assert numbers(history.add(1050 * MS, torch.tensor(1))) == [0, 0, 1]


@pytest.mark.parametrize(
    ('stamps', 'expected'),
    [
        (range(0, 500, 50), [5, 7, 9]),
        (range(0, 500, 25), [11, 15, 19]),
        (range(0, 1000, 100), [7, 8, 9]),
        ([0, 48, 103, 149, 201, 250], [1, 3, 5]),
        # Nothing came for three seconds: the frames nearest to what was asked for.
        ([0, 50, 100, 3100], [3, 3, 3]),
    ],
)
def test_frames_are_picked_by_their_stamps(stamps, expected):
    """Whatever the rate of the camera, frames are as far apart as in training."""
    assert shown(FrameHistory(3, 0.1, 0.05), list(stamps)) == expected


def test_without_stamps_observations_are_a_period_apart():
    """Training and evaluation do not stamp."""
    assert shown(FrameHistory(3, 0.1, 0.05), [0] * 10) == [5, 7, 9]


def test_time_that_goes_back_begins_anew():
    """A simulation was reset: frames of the run before are no past of this one."""
    assert shown(FrameHistory(3, 0.1, 0.05), [900, 950, 1000, 0]) == [3, 3, 3]


def test_only_what_may_be_asked_for_is_kept():
    """Memory does not grow with the length of a run."""
    history = FrameHistory(3, 0.1, 0.05)
    shown(history, range(0, 60_000, 10))
    assert len(history._frames) <= 22
    history.clear()
    assert numbers(history.add(60_000 * MS, torch.tensor(7))) == [7, 7, 7]
