"""The report holds every key that others rely on."""

import json

import pytest

from sara_ros.core import STAGES, ParameterError
from sara_ros.evaluation.files import write_json
from sara_ros.evaluation.session import PolicyFacts

PERCENTILES = {'p50', 'p95', 'p99', 'max', 'count'}


def test_report_keys(make_session):
    """All keys of schema 1, whatever the session was."""
    report = make_session().to_report()
    assert set(report) == {
        'schema', 'kind', 'created', 'duration_sec', 'first_command_sec', 'machine', 'ros',
        'processes', 'episodes',
        'commands', 'sensor_to_command_ms', 'sensor_to_command_minus_inference_ms', 'stages_ms',
        'by_policy', 'frames', 'dropped', 'warm_up_excluded', 'messages', 'sources', 'notes',
        'files',
    }  # fmt: skip
    assert report['schema'] == 'sara_ros.session/1'
    assert report['ros']['distro'] == 'jazzy'
    assert report['processes'][1] == {'name': 'policy', 'pid': 12}
    assert set(report['sensor_to_command_ms']) == PERCENTILES
    assert tuple(report['stages_ms']) == STAGES
    assert all(set(stage) == PERCENTILES for stage in report['stages_ms'].values())
    assert report['messages'] == {'in': {'image_raw': 99}, 'out': {'policy/action': 33}}


def test_report_values(make_session):
    """Counts come from the samples; the expert stays apart from learned policies."""
    report = make_session().to_report()
    assert report['commands'] == {
        'count': 33,
        'rate_hz': 10.0,
        'holds': 1,
        'deadline_misses': 3,
        'clipped_values': 4,
    }
    assert report['warm_up_excluded'] == 2
    assert list(report['dropped'].items()) == [('superseded', 1), ('too_old', 2)]
    assert report['by_policy']['rt2-small']['attention_backend'] == 'sara'
    assert report['by_policy']['expert']['learned'] is False
    assert [episode['learned'] for episode in report['episodes']] == [True, False]


def test_report_survives_json(tmp_path, make_session):
    """What is written is what is read."""
    report = make_session().to_report()
    path = tmp_path / 'out' / 'report.json'
    write_json(path, report)
    assert json.loads(path.read_text()) == report


def test_no_commands_are_null(make_session):
    """A session in which nothing moved has no latency, rather than none to speak of."""
    report = make_session(samples=[]).to_report()
    nothing = {'p50': None, 'p95': None, 'p99': None, 'max': None, 'count': 0}
    assert report['sensor_to_command_ms'] == nothing
    assert report['sensor_to_command_minus_inference_ms'] == nothing
    assert report['stages_ms']['inference'] == nothing
    assert report['by_policy']['expert']['sensor_to_command_ms'] == nothing
    assert report['commands']['rate_hz'] is None
    assert report['commands']['count'] == 0


@pytest.mark.parametrize('path', ['/tmp/video.mp4', '../video.mp4'])
def test_files_stay_in_the_folder(make_session, path):
    """A report can be moved and names no folder of the machine it was made on."""
    with pytest.raises(ParameterError, match='must be relative to the report'):
        make_session(files={'video': path})


def test_unknown_kind(make_session):
    """The message lists what is known."""
    with pytest.raises(ParameterError, match="'show' is none of demo, demo-real"):
        make_session(kind='show')


def test_commands_of_an_unknown_policy(make_session):
    """No command may go without saying whether its policy was learned."""
    session = make_session(policies={'rt2-small': PolicyFacts(True)})
    with pytest.raises(ParameterError, match='unknown policies: expert'):
        session.to_report()
