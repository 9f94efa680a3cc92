"""Batches with the past of each frame and the labels of its future."""

import numpy as np
import pytest

from sara_ros.core import ParameterError
from sara_ros.training.windows import Window


def frames(*episodes, drives=True):
    """Return frames whose picture and labels tell their row; episodes are given as steps."""
    ids = [(index, step) for index, steps in enumerate(episodes) for step in steps]
    rows = np.arange(len(ids))
    return {
        'episode': np.array([i for i, _ in ids]) + 500,
        'step': np.array([s for _, s in ids]),
        'task': rows % 16,
        'front': rows.astype(np.uint8)[:, None],
        'labels': np.tile(rows[:, None, None], (1, 16, 8)).astype(np.float32),
        'expert_drives': np.full(len(rows), drives),
    }


def test_single_frames_are_taken_as_they_are():
    """Without history and chunks nothing is asked of the frames, and nothing is added."""
    some = {'task': np.arange(5), 'front': np.arange(5)}
    batch = Window().batch(some, [3, 1], ('front',))
    assert set(batch) == {'task', 'front'}
    np.testing.assert_array_equal(batch['front'], [3, 1])
    assert not Window().dense


def test_past_frames():
    """The oldest comes first; the first of an episode stands for those before it."""
    batch = Window(frames=3, every=2).batch(frames(range(7), range(4)), [6, 3, 0, 8], ('front',))
    np.testing.assert_array_equal(
        batch['front'][..., 0], [[2, 4, 6], [0, 1, 3], [0, 0, 0], [7, 7, 8]]
    )
    np.testing.assert_array_equal(batch['task'], [6, 3, 0, 8])


def test_a_state_that_was_recorded_twice_begins_anew():
    """The same step twice is no past of itself."""
    batch = Window(frames=3).batch(frames([0, 0, 1, 2]), [3, 2, 0], ('front',))
    np.testing.assert_array_equal(batch['front'][..., 0], [[1, 2, 3], [1, 1, 2], [0, 0, 0]])


def test_future_labels():
    """They are known to the end of the episode, and only where the expert drove."""
    batch = Window(horizon=3).batch(frames(range(4), range(3)), [0, 2, 6], ())
    np.testing.assert_array_equal(batch['labels'][..., 0, 0], [[0, 1, 2], [2, 3, 3], [6, 6, 6]])
    np.testing.assert_array_equal(batch['known'], [[1, 1, 1], [1, 1, 0], [1, 0, 0]])
    visited = Window(horizon=3).batch(frames(range(4), drives=False), [0], ())
    np.testing.assert_array_equal(visited['known'], [[1, 0, 0]])


def test_frames_that_leave_out_steps():
    """Frames collected for single-frame training have holes; a history of them would be wrong."""
    with pytest.raises(ParameterError, match='leave out steps of their episodes'):
        Window(frames=2).batch(frames([0, 1, 4, 5]), [3], ())
    old = frames(range(3))
    del old['episode']
    with pytest.raises(ParameterError, match='do not state their episodes and steps'):
        Window(horizon=2).batch(old, [1], ())
