"""Frames of a model's training: made again where they are missing."""

import shutil

import numpy as np
import pytest
from uptraining.test_measure import opened

from sara_ros.sim.tasks import TASKS
from sara_ros.training.frames import load_frames


@pytest.mark.slow
def test_missing_frames_are_collected_again(rt2_toy):
    """Expert and held-out frames are the same as before; DAgger asks the model itself."""
    before = {name: load_frames(rt2_toy / 'work' / name) for name in ('frames', 'held-out')}
    shutil.rmtree(rt2_toy / 'work')
    data, _ = opened(rt2_toy)
    for name, frames in before.items():
        found = load_frames(rt2_toy / 'work' / name, limit=len(frames['task']))
        for key, value in frames.items():
            np.testing.assert_array_equal(found[key], value, err_msg=f'{name}, {key}')
    assert data.facts['dagger_frames'] == 10
    visited = load_frames(rt2_toy / 'work' / 'dagger-0')
    assert set(visited) == set(before['frames'])
    assert {TASKS[task].verb for task in visited['task']} == {'push'}


def test_nothing_is_collected_twice(rt2_toy):
    """Frames that are there are taken as they are."""
    work = rt2_toy / 'work'
    before = {path: path.stat().st_mtime_ns for path in work.rglob('*.npz')}
    opened(rt2_toy)
    assert {path: path.stat().st_mtime_ns for path in work.rglob('*.npz')} == before


def test_held_out_frames_are_not_trained_on(rt2_toy):
    """No state of one is in the other."""
    seen, held_out = (
        {row.tobytes() for row in load_frames(rt2_toy / 'work' / name)['state']}
        for name in ('frames', 'held-out')
    )
    assert seen
    assert not seen & held_out
