"""The report of injected faults."""

import json

import numpy as np
import pytest

from sara_ros.evaluation.fault_report import (
    FaultRecord,
    periods_lost,
    still_since_ns,
    stop_limit_ms,
    table,
    write_report,
)

GOOD = FaultRecord('a | b', 'holds', 'held', True, time_to_stop_ms=12.4, commands_lost=0)
BAD = FaultRecord('c', 'goes on', 'gone', False)


def test_the_limit_is_a_period_and_100_ms():
    assert stop_limit_ms(50.0) == 150.0


@pytest.mark.parametrize(
    ('x_m', 'since'),
    [([0.0, 0.1, 0.2, 0.2, 0.2], 2), ([0.2, 0.2, 0.2], 0), ([0.0, 0.1, 0.2], 2),
     ([0.2, 0.3, 0.2, 0.201], 2)],
)  # fmt: skip
def test_when_a_path_stands_still_for_good(x_m, since):
    path = np.zeros((len(x_m), 3))
    path[:, 0] = x_m
    assert still_since_ns([10 * index for index in range(len(x_m))], path) == 10 * since


@pytest.mark.parametrize(
    ('stamps', 'lost'), [([0, 50, 99, 160], 0), ([0, 50, 150, 350], 4), ([0], 0), ([], 0)]
)
def test_periods_without_a_command_are_counted(stamps, lost):
    assert periods_lost(stamps, 50) == lost


def test_the_report_is_json_and_a_table(tmp_path):
    data = json.loads(write_report(tmp_path, [GOOD, BAD]).read_text())
    assert data['schema'] == 'sara_ros.faults/1'
    assert data['passed'] is False
    assert data['faults'][0] == {
        'fault': 'a | b', 'expected': 'holds', 'seen': 'held', 'passed': True,
        'time_to_stop_ms': 12.4, 'commands_lost': 0,
    }  # fmt: skip
    lines = (tmp_path / 'report.md').read_text().splitlines()
    assert lines[2] == '| a / b | holds | held | 12 | 0 | ok |'
    assert lines[3] == '| c | goes on | gone |  |  | **failed** |'
    assert table([]).count('\n') == 2
