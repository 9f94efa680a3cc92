"""The figures of a long session."""

import pytest

from sara_ros.evaluation.samples import CommandSample
from sara_ros.evaluation.soak import ProcessCost, SoakLog

PERIOD_SEC = 0.05


def sample(index, *, episode=1, late_sec=0.0):
    return CommandSample(
        episode=episode, model_id='m', time_sec=index * PERIOD_SEC + late_sec, sequence=index,
        warm_up=index < 5, hold=False, stages_ms={'inference': 5.0}, total_ms=9.0,
    )  # fmt: skip


def report(samples, **values):
    log = SoakLog('m', 20.0, samples=samples, **values)
    return log.to_report(90.0)


def test_rate_jitter_and_lost_periods_within_runs():
    """The pause between two runs is none of them."""
    late = sample(10, late_sec=0.004)
    first = [*(sample(i) for i in range(20) if i not in (10, 15)), late]
    second = [sample(i, episode=2) for i in range(1000, 1020)]
    commands = report(first + second)['commands']
    assert commands['count'] == 39
    assert commands['periods_lost'] == 1
    assert commands['rate_hz'] == pytest.approx(37 / 38 * 20, abs=0.01)
    assert commands['jitter_ms']['p50'] == pytest.approx(0, abs=1e-6)
    assert commands['jitter_ms']['max'] == pytest.approx(50)


def test_memory_grows_from_the_second_tenth_on():
    series = [(float(i), 100.0 if i < 10 else 200.0 if i < 90 else 220.0) for i in range(100)]
    memory = report([], memory_mib={'policy': series})['memory']['policy']
    assert memory == {
        'first_mib': 200.0, 'last_mib': 220.0, 'max_mib': 220.0, 'growth_percent': 10.0,
    }  # fmt: skip


def test_what_each_process_took():
    cost = ProcessCost(cpu_percent=3.5, rss_start_mib=80.0, rss_end_mib=81.5)
    whole = report([], processes={'model_manager': cost}, exported=True)
    assert whole['exported'] is True
    assert whole['processes'] == {
        'model_manager': {'cpu_percent': 3.5, 'rss_start_mib': 80.0, 'rss_end_mib': 81.5},
    }  # fmt: skip


def test_minute_by_minute():
    samples = [sample(i) for i in range(0, 2400, 10)]
    minutes = report(samples, memory_mib={'policy': [(30.0, 100.0), (61.0, 300.0)]})['minutes']
    assert [each['minute'] for each in minutes] == [0, 1]
    assert [each['commands'] for each in minutes] == [120, 120]
    assert [each['memory_mib']['policy'] for each in minutes] == [100.0, 300.0]
    assert minutes[1]['sensor_to_command_ms']['p50'] == 9.0


def test_an_empty_session_has_a_report():
    empty = report([])
    assert empty['commands']['rate_hz'] is None
    assert empty['memory'] == {}
