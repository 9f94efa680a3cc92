"""Commands survive the CSV file, and their percentiles are those computed by hand."""

from dataclasses import replace

import pytest

from sara_ros.core import STAGES, ParameterError
from sara_ros.evaluation.samples import (
    command_rate_hz,
    percentiles_of,
    read_csv,
    summarise,
    write_csv,
)


def test_csv_round_trip(tmp_path, samples):
    """Every value comes back exactly, absent stages and totals included."""
    path = tmp_path / 'timing.csv'
    write_csv(path, samples)
    assert read_csv(path) == samples


def test_csv_columns_name_units(tmp_path, make_sample):
    """Whoever opens the file sees the unit of each duration."""
    path = tmp_path / 'timing.csv'
    write_csv(path, [make_sample(7, 12.0)])
    head, line = path.read_text().splitlines()
    stages = ','.join(f'{stage}_ms' for stage in STAGES)
    assert head == f'episode,model_id,time_sec,sequence,warm_up,hold,{stages},sensor_to_command_ms'
    assert line == '1,rt2-small,100.7,7,0,0,1.0,1.0,1.0,7.0,1.0,1.0,12.0'


@pytest.mark.parametrize('model', ['a,b', 'two\nlines', 'quo"te', 'ünïcode'])
def test_csv_keeps_awkward_names(tmp_path, make_sample, model):
    """Separators, quotes and line breaks in a model id do not shift columns."""
    path = tmp_path / 'timing.csv'
    sample = make_sample(model=model)
    write_csv(path, [sample, sample])
    assert read_csv(path) == [sample, sample]


def test_csv_without_a_column(tmp_path):
    """The message names what is missing."""
    path = tmp_path / 'timing.csv'
    path.write_text('episode,model_id,time_sec,sequence,warm_up\n')
    with pytest.raises(ParameterError, match='missing columns: hold, sensor_to_command_ms'):
        read_csv(path)


def test_csv_with_a_bad_value(tmp_path, samples):
    """The message names the line."""
    path = tmp_path / 'timing.csv'
    write_csv(path, samples)
    lines = path.read_text().splitlines()
    lines[3] = lines[3].replace('100.2', 'soon')
    path.write_text('\n'.join(lines))
    with pytest.raises(ParameterError, match=r"timing\.csv:4: .*'soon'"):
        read_csv(path)


def test_percentiles_by_hand():
    """Linear interpolation at (n - 1) q of 0, 10, ..., 100."""
    values = [100.0, *range(0, 100, 10)]
    expected = {'p50': 50.0, 'p95': 95.0, 'p99': 99.0, 'max': 100.0, 'count': 11}
    assert percentiles_of(values) == expected


@pytest.mark.parametrize('values', [[], [None], [float('nan')]])
def test_percentiles_of_nothing_are_null(values):
    """A zero would read as no latency at all."""
    expected = {'p50': None, 'p95': None, 'p99': None, 'max': None, 'count': 0}
    assert percentiles_of(values) == expected


def test_warm_up_and_holds_are_counted_but_not_timed(samples):
    """The 500 ms of warm-up and the hold without latency change no percentile."""
    summary = summarise(samples)
    assert summary['commands'] == 33
    assert summary['warm_up_excluded'] == 2
    assert summary['holds'] == 1
    assert summary['sensor_to_command_ms']['count'] == 30
    assert summary['sensor_to_command_ms']['max'] == 31.0


def test_hold_with_a_latency_is_not_timed(make_sample):
    """A hold may carry the age of the last observation, which is no command latency."""
    hold = make_sample(0, 900.0, hold=True)
    held = type(hold)(1, 'm', 0.0, 0, False, {'transport': 900.0}, 900.0, True)
    summary = summarise([held, make_sample(1, 12.0, model='m')])
    assert summary['sensor_to_command_ms']['max'] == 12.0
    assert summary['holds'] == 1


def test_latency_minus_inference_is_taken_per_command(make_sample):
    """The median of differences, here 5/12 of 12, 24 and 36 ms, is 10 ms."""
    summary = summarise([make_sample(n, 12.0 * (n + 1)) for n in range(3)])
    assert summary['sensor_to_command_minus_inference_ms']['p50'] == 10.0
    assert summary['stages_ms']['inference']['p50'] == 14.0
    assert summary['stages_ms']['transport']['p50'] == 2.0


def test_models_are_summarised_apart(samples):
    """Twenty values 12 to 31 of one model, ten times 5 of the other."""
    models = summarise(samples)['by_policy']
    assert models['rt2-small']['sensor_to_command_ms']['p50'] == 21.5
    assert models['rt2-small']['commands'] == 23
    assert models['expert']['sensor_to_command_ms']['p99'] == 5.0


def test_command_rate_leaves_out_pauses(samples, make_sample):
    """Both episodes run at 10 Hz, with more than a minute between them."""
    assert command_rate_hz(samples) == pytest.approx(10.0)
    assert command_rate_hz([make_sample()]) is None


def test_an_episode_of_one_command_has_no_rate(make_sample):
    """The hold after its only command follows at once, which would be thousands a second."""
    pair = [replace(make_sample(n), time_sec=1.0 + n * 0.0005) for n in range(2)]
    assert command_rate_hz(pair) is None
