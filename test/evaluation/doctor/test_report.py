"""Results as lines, as a table and as JSON."""

from __future__ import annotations

import io

from sara_ros.core.health import Level
from sara_ros.evaluation.doctor.report import as_json, print_results
from sara_ros.evaluation.doctor.result import error, ok, warning, worst_level

RESULTS = [ok('a', 'fine'), warning('b', 'so\nso', 'look'), error('[c]', 'broken', 'repair it')]


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_plain_lines_elsewhere():
    stream = io.StringIO()
    print_results(RESULTS, stream)
    assert stream.getvalue().splitlines() == [
        'ok: a: fine',
        'warning: b: so so -> look',
        'error: [c]: broken -> repair it',
        '3 checks: 1 ok, 1 warning, 1 error',
    ]


def test_a_table_on_a_terminal(monkeypatch):
    monkeypatch.setenv('COLUMNS', '90')
    stream = Terminal()
    print_results(RESULTS, stream)
    text = stream.getvalue()
    assert 'what to do' in text
    assert '[c]' in text  # not taken for markup
    assert text.endswith('3 checks: 1 ok, 1 warning, 1 error\n')


def test_json_names_the_worst():
    data = as_json(RESULTS)
    assert data['level'] == 'error'
    assert data['results'][1] == {
        'level': 'warning', 'check': 'b', 'seen': 'so so', 'advice': 'look',
    }  # fmt: skip
    assert worst_level([]) == Level.OK
