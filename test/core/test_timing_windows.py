"""The windows over which latency is summed up, one per model."""

from evaluation.telemetry import command
import pytest

from sara_ros.core.timing import STAGES, TOTAL
from sara_ros.core.timing_windows import MOST_MODELS, TimingWindows


def test_warm_up_is_counted_and_left_out():
    windows = TimingWindows(100)
    for sequence in range(5):
        windows.add(command(sequence, total_ms=900.0, warm_up=True))
    for sequence in range(5, 25):
        windows.add(command(sequence, total_ms=30.0))
    window = windows.of('one', 'softmax')
    assert (window.commands, window.warm_up_excluded) == (20, 5)
    assert list(window.stages()) == [*STAGES, TOTAL]
    assert window.stages()[TOTAL].max == 30.0
    assert windows.rate.rate_hz == pytest.approx(20.0)


def test_holds_and_later_steps_have_no_latency():
    """A later step of a chunk is old by design; its age counts, its stages do not."""
    windows = TimingWindows(100)
    windows.add(command(0, total_ms=20.0))
    windows.add(command(1, total_ms=70.0, later_step=True))
    windows.add(command(2, total_ms=0.0, observation_age_ms=None, hold=True))
    window = windows.of('one', 'softmax')
    assert window.stages()[TOTAL].count == 1
    assert window.observation_age().max == 70.0
    assert window.observation_age().count == 2


def test_a_swap_keeps_both_windows_and_one_rate():
    windows = TimingWindows(100)
    for sequence in range(10):
        model = 'one' if sequence < 5 else 'two'
        windows.add(command(sequence, total_ms=10.0 if model == 'one' else 40.0, model=model))
    assert [each.model_id for each in windows.models] == ['one', 'two']
    assert windows.of('one', 'softmax').stages()[TOTAL].p50 == 10.0
    assert windows.of('two', 'softmax').stages()[TOTAL].p50 == 40.0
    assert windows.rate.rate_hz == pytest.approx(20.0)
    assert windows.of('three', '').stages() == {}


def test_another_attention_backend_is_another_window():
    windows = TimingWindows(100)
    windows.add(command(0, backend='softmax'))
    windows.add(command(1, backend='sara'))
    assert [each.attention_backend for each in windows.models] == ['softmax', 'sara']


def test_a_command_without_its_backend_joins_its_model():
    """Right after a swap the backend of the model before it is not known any more."""
    windows = TimingWindows(100)
    windows.add(command(0, backend='sara'))
    windows.add(command(1, backend=''))
    assert [(each.attention_backend, each.commands) for each in windows.models] == [('sara', 2)]


def test_models_that_have_not_served_for_long_are_forgotten():
    windows = TimingWindows(10)
    for index in range(MOST_MODELS + 3):
        windows.add(command(index, model=f'model{index}'))
        windows.add(command(index, model='model0'))
    names = [each.model_id for each in windows.models]
    assert len(names) == MOST_MODELS
    assert names[-1] == 'model0'
    assert 'model1' not in names
