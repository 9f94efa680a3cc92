"""The chunk queue: delay is counted in consumed actions."""

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

from sara_ros.core import ActionChunk, ActionError, TimingRecord
from sara_ros.core.chunk_queue import ChunkQueue


def chunk(horizon, *, base=0, uncertainty=None):
    """Return a chunk whose step ``i`` is the action ``base + i``."""
    values = np.arange(base, base + horizon, dtype=np.float32)[:, None]
    return ActionChunk(values, TimingRecord(base, 0), uncertainty)


def drain(queue):
    """Return what is left, as numbers."""
    return [int(queued.values[0]) for queued in iter(queue.pop, None)]


def test_an_empty_queue_hands_out_nothing_and_counts_nothing():
    queue = ChunkQueue()
    assert queue.pop() is None
    assert queue.consumed == 0


@given(
    first=st.integers(1, 12),
    consumed_before=st.integers(0, 12),
    consumed_meanwhile=st.integers(0, 12),
    horizon=st.integers(1, 12),
)
def test_a_chunk_starts_where_the_robot_is(first, consumed_before, consumed_meanwhile, horizon):
    """Steps consumed while the chunk was computed are left out, except its last one."""
    queue = ChunkQueue()
    queue.put(chunk(first), consumed_before=0)
    for _ in range(consumed_before):
        queue.pop()
    begun = queue.consumed
    for _ in range(consumed_meanwhile):
        queue.pop()
    delay = queue.consumed - begun
    queue.put(chunk(horizon, base=100), consumed_before=begun)
    start = min(delay, horizon - 1)
    assert drain(queue) == list(range(100 + start, 100 + horizon))


def test_only_the_first_step_sent_stands_for_the_observation():
    queue = ChunkQueue()
    queue.put(chunk(2), consumed_before=0)
    queue.pop()
    queue.put(chunk(4, uncertainty=np.arange(4, dtype=np.float32)), consumed_before=0)
    left = list(iter(queue.pop, None))
    assert [queued.first_of_chunk for queued in left] == [True, False, False]
    assert [queued.uncertainty for queued in left] == [1.0, 2.0, 3.0]


def test_a_horizon_of_one_always_acts():
    """However slow the model, its only step goes out."""
    queue = ChunkQueue()
    queue.put(chunk(10), consumed_before=0)
    for _ in range(7):
        queue.pop()
    queue.put(chunk(1, base=50), consumed_before=0)
    assert drain(queue) == [50]


def test_clearing_keeps_the_count():
    queue = ChunkQueue()
    queue.put(chunk(5), consumed_before=0)
    queue.pop()
    queue.clear()
    assert queue.pop() is None
    assert queue.consumed == 1


@pytest.mark.parametrize('shape', [(0, 8), (3, 0), (8,), (1, 2, 8)])
def test_a_chunk_without_steps_is_refused(shape):
    with pytest.raises(ActionError, match=r'expected \(horizon, dimensions\)'):
        ActionChunk(np.zeros(shape, np.float32), TimingRecord(0, 0))


def test_an_uncertainty_per_step_is_required():
    """A shorter one once ended the worker thread with an IndexError."""
    with pytest.raises(ActionError, match=r'shape \(2,\).*one number a step'):
        chunk(3, uncertainty=np.zeros(2, np.float32))
