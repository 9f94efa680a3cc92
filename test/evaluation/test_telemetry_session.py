"""An exported session is read back and rendered as one page."""

from evaluation.telemetry import command
import pytest

pytest.importorskip('sara_ros_msgs')

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from evaluation.test_report_html import Page
from rclpy.serialization import serialize_message

from sara_ros.cli.main import main
from sara_ros.core import ParameterError
from sara_ros.core.health import Level
from sara_ros.evaluation.command_log import CommandLog
from sara_ros.evaluation.files import write_json
from sara_ros.evaluation.mcap_log import McapLog, Topic
from sara_ros.evaluation.telemetry_page import write_telemetry_page
from sara_ros.evaluation.telemetry_session import Event, read_session
from sara_ros.nodes.message_definitions import message_definition, type_name
from sara_ros_msgs.msg import (
    PolicyStatus,
    StageStatistics,
    SwapStatus,
    TimingSummary,
)

NS = 10**9
RUDE = 'push <script>alert("x")</script>'


def messages():
    """Yield time, topic and message of a session of 20 s."""
    stage = StageStatistics(
        stage='sensor_to_command', count=5, p50_ms=20.0, p95_ms=25.0, p99_ms=30.0, max_ms=35.0
    )
    yield 0.0, '/policy/status', PolicyStatus(state='active', model_id='one', instruction=RUDE)
    for second in range(20):
        yield second + 0.5, '/model_manager/timing', TimingSummary(
            stages=[stage] if second else [], command_rate_hz=20.0, observation_age=stage,
            cpu_percent=50.0 + second, memory_bytes=500 << 20, holds=second,
            drop_reasons=['late'], drop_counts=[2 * second],
        )  # fmt: skip
        level = DiagnosticStatus.WARN if second >= 10 else DiagnosticStatus.OK
        health = DiagnosticStatus(level=level, name='/model_manager: commands', message='slow')
        yield second + 0.6, '/diagnostics', DiagnosticArray(status=[health])
    yield 10.0, '/policy/swap_status', SwapStatus(state='rolled_back', message='too slow')
    yield (
        15.0,
        '/policy/status',
        PolicyStatus(
            state='active',
            model_id='one',
            last_error='it broke',
            last_termination_reason='timeout',
        ),
    )


@pytest.fixture
def exported(tmp_path):
    """Return the folder of an exported session."""
    folder = tmp_path / '2026-01-02'
    bag = McapLog(folder / 'telemetry_0.mcap')
    for seconds, name, message in messages():
        kind = type_name(type(message))
        topic = Topic(name, kind, message_definition(kind))
        bag.add(topic, 10**18 + round(seconds * NS), serialize_message(message))
    bag.flush()
    bag.close()
    table = CommandLog(folder / 'commands.csv')
    for sequence in range(40):
        model = 'one' if sequence < 20 else 'two'
        table.add(command(sequence, total_ms=20.0 + sequence, model=model, warm_up=sequence < 5))
    table.flush()
    table.close()
    write_json(folder / 'session.json', {
        'policy': '/policy', 'created': '2026-01-02T03:04:05+00:00', 'machine': {'cpu': 'A <b>'},
        'export': {'csv': {'written': 40, 'held': 0, 'lost': 0, 'failures': 3}},
    })  # fmt: skip
    return folder


def test_a_session_is_read_back(exported):
    session = read_session(exported)
    assert session.name == '2026-01-02'
    assert len(session.samples) == 40
    assert sum(sample.warm_up for sample in session.samples) == 5
    assert len(session.moments) == 20
    assert session.moments[0].latency_ms is None
    last = session.moments[-1]
    assert last.time_sec == pytest.approx(19.5)
    assert last.latency_ms == (20.0, 25.0, 30.0, 35.0)
    assert (last.cpu_percent, last.memory_mib, last.drops) == (69.0, 500.0, {'late': 38})
    assert session.messages == {
        '/diagnostics': 20, '/model_manager/timing': 20, '/policy/status': 2,
        '/policy/swap_status': 1,
    }  # fmt: skip


def test_what_changed_is_told_once(exported):
    events = read_session(exported).events
    assert [event for event in events if event.what == 'diagnostics /model_manager: commands'] == [
        Event(10.6, 'diagnostics /model_manager: commands', 'slow', Level.WARN)
    ]
    assert Event(10.0, 'swap', 'rolled_back: too slow', Level.WARN) in events
    assert Event(15.0, 'error', 'it broke', Level.ERROR) in events
    assert [event.time_sec for event in events] == sorted(event.time_sec for event in events)


def test_the_page_holds_the_session(exported, tmp_path):
    write_telemetry_page(read_session(exported), tmp_path / 'page.html')
    page = Page((tmp_path / 'page.html').read_text(encoding='utf-8'))
    text = page.all_text()
    for words in (
        'Session 2026-01-02', '5 warm-up commands', '40 commands', 'rolled_back: too slow',
        'it broke', RUDE, 'late 38', '/policy/swap_status', 'A <b>', 'csv 40 0 0 3', 'timeout',
    ):  # fmt: skip
        assert words in text, words
    assert 'script' not in page.names()
    pictures = [attributes for name, attributes in page.elements if name == 'img']
    assert len(pictures) == 2
    assert all(each['src'].startswith('data:image/png;base64,') for each in pictures)


@pytest.mark.parametrize('name', ['commands.csv', 'telemetry_0.mcap'])
def test_one_file_is_enough(exported, tmp_path, name):
    session = read_session(exported / name)
    assert bool(session.samples) == name.endswith('csv')
    assert bool(session.moments) == name.endswith('mcap')
    write_telemetry_page(session, tmp_path / 'page.html')
    Page((tmp_path / 'page.html').read_text(encoding='utf-8'))


def test_the_command_takes_the_newest_session(exported, capsys):
    older = exported.parent / '2025-12-31'
    older.mkdir()
    (older / 'session.json').write_text('{}')
    assert main(['report', str(exported.parent)]) == 0
    assert capsys.readouterr().out.strip() == f'report: {exported / "report.html"}'
    assert (exported / 'report.html').is_file()


@pytest.mark.parametrize(
    ('content', 'text'),
    [(None, 'does not exist'), ('', 'holds no commands.csv'), ('mcap', 'cannot be read')],
)
def test_what_cannot_be_rendered_is_named(tmp_path, capsys, content, text):
    folder = tmp_path / 'session'
    if content is not None:
        folder.mkdir()
    if content:
        (folder / 'telemetry_0.mcap').write_bytes(b'not a bag')
    assert main(['report', str(folder)]) == 1
    error = capsys.readouterr().err
    assert text in error
    assert 'Traceback' not in error


def test_broken_facts_do_not_hide_the_session(exported):
    (exported / 'session.json').write_text('{')
    assert read_session(exported).facts == {}
    with pytest.raises(ParameterError, match='holds no'):
        read_session(exported / 'session.json')
