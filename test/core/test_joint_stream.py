"""Joint commands become positions without a step in place or speed."""

import numpy as np
import pytest

from sara_ros.core import ActionError
from sara_ros.core.joint_stream import JointStream

PERIOD_SEC = 0.05
NOTHING = np.empty((0, 2), np.float32)


def path_of(commands, points, following):
    """Return what is carried out when each message replaces the one before after a period."""
    stream = JointStream(np.zeros(2), PERIOD_SEC, points=points)
    played = [
        stream.positions(np.float32([each, -each]), following)[:points, 0] for each in commands
    ]
    return np.concatenate([[0.0], *played])


def test_each_command_is_reached_at_the_end_of_its_period():
    path = path_of([0.1, 0.3, 0.2], 5, NOTHING)
    np.testing.assert_allclose(path[[5, 10, 15]], [0.1, 0.3, 0.2], atol=1e-6)


def test_commands_and_chunks_are_spliced_without_a_step_in_speed():
    """Straight lines between commands change speed at once, by the whole difference."""
    points = 100
    path = path_of([0.1, 0.25, 0.4, 0.45, 0.45], points, NOTHING)
    speed = np.diff(path) / (PERIOD_SEC / points)
    assert speed[0] < 0.5  # from rest
    assert speed[[points, 2 * points]].min() > 1.5  # it does not stop at every command
    assert np.abs(np.diff(speed)).max() < 0.2
    assert np.abs(np.diff([0.1, 0.15, 0.15, 0.05, 0.0])).max() / PERIOD_SEC > 1.9


def test_without_a_next_command_it_comes_to_rest():
    stream = JointStream(np.zeros(2), PERIOD_SEC, points=50)
    positions = stream.positions(np.float32([0.1, 0.1]), NOTHING)[:, 0]
    assert len(positions) == 100
    assert positions[49] == pytest.approx(0.1)
    assert positions[-1] == pytest.approx(0.15)
    assert np.abs(np.diff(positions[-3:])).max() < 1e-4
    assert (np.diff(positions) >= -1e-7).all()


def test_what_follows_is_limited_in_speed_and_never_nan():
    stream = JointStream(np.zeros(2), PERIOD_SEC, points=1, max_speed=1.0)
    following = np.float32([[9, 0], [np.nan, 0], [0, 0]])
    positions = stream.positions(np.float32([0.1, 0]), following)
    np.testing.assert_allclose(positions, [[0.1, 0], [0.15, 0]], atol=1e-6)


def test_without_lookahead_every_command_ends_at_rest():
    stream = JointStream(np.zeros(2), PERIOD_SEC, points=50)
    positions = stream.positions(np.float32([0.1, 0]))[:, 0]
    assert len(positions) == 50
    assert np.diff(positions[-2:])[0] < 2e-4


@pytest.mark.parametrize('command', [[0.1], [np.nan, 0]])
def test_other_commands_are_refused(command):
    stream = JointStream(np.zeros(2), PERIOD_SEC)
    with pytest.raises(ActionError, match='2 finite joint positions'):
        stream.positions(np.float32(command), NOTHING)
