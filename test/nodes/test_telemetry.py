"""The manager's telemetry over real topics: figures, health, and what is exported of them."""

import json
from pathlib import Path
import re
import socket
import time
from urllib.error import HTTPError
from urllib.request import urlopen

import numpy as np
import pytest

rclpy = pytest.importorskip('rclpy')

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus  # noqa: E402
from mcap.reader import make_reader  # noqa: E402
from nodes.host import ACTIVATE, CONFIGURE, DEACTIVATE, until  # noqa: E402
from nodes.timings import diagnostic, timing_message  # noqa: E402
from rosbags.highlevel import AnyReader  # noqa: E402

from sara_ros.core import STAGES, ParameterError  # noqa: E402
from sara_ros.core.timing import TOTAL  # noqa: E402
from sara_ros.evaluation.samples import read_csv  # noqa: E402
from sara_ros.nodes import qos  # noqa: E402
from sara_ros.nodes.message_definitions import message_definition  # noqa: E402
from sara_ros.nodes.telemetry_parameters import PARAMETERS  # noqa: E402
from sara_ros_msgs.msg import (  # noqa: E402
    EndEffectorAction,
    InferenceTiming,
    PolicyStatus,
    TimingSummary,
)

NODE = 'model_manager'
PERIOD_NS = 50_000_000
OK, WARN, ERROR, STALE = (
    DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR, DiagnosticStatus.STALE,
)  # fmt: skip


@pytest.fixture
def watching(manager, station):
    """Return a function that activates a manager and returns it with what it says and hears."""

    def start(**parameters):
        host = manager(**parameters)
        assert station.transition(CONFIGURE, NODE)
        assert station.transition(ACTIVATE, NODE)
        host.summaries = station.collect(TimingSummary, f'{NODE}/timing')
        host.diagnostics = station.collect(DiagnosticArray, '/diagnostics')
        host.timing = station.publisher(InferenceTiming, 'policy/timing')
        host.status = station.publisher(PolicyStatus, 'policy/status', qos.LATCHED)
        return host

    return start


def send(host, messages):
    """Publish messages no faster than a queue of ten takes them."""
    for message in messages:
        host.timing.publish(message)
        time.sleep(0.005)


def commands(count, **changes):
    """Return the timing of ``count`` commands at 20 Hz."""
    start_ns = time.time_ns()
    return [
        timing_message(step, stamp_ns=start_ns + step * PERIOD_NS, **changes)
        for step in range(count)
    ]


def running(**changes):
    """Return the status of a policy in a run."""
    values = {
        'model_id': 'fake', 'attention_backend': 'softmax', 'state': 'active',
        'instruction': 'reach', 'rate_hz': 20.0, 'pid': 7,
    }  # fmt: skip
    return PolicyStatus(**{**values, **changes})


def becomes(host, what, level, text):
    """Wait until the diagnostic about ``what`` is at ``level`` and says ``text``."""

    def found():
        seen = diagnostic(host.diagnostics, what)
        return [seen[2]] if seen[0] == level and text in seen[1] else None

    return until(found, f'{what} to say {text!r}', timeout_sec=10.0)[0]


def test_timing_is_summed_up(watching):
    """Warm-up stays out. The rate counts every command: of a chunk of four, one carries timing."""
    host = watching()
    start_ns = time.time_ns()
    send(host, [timing_message(0, total_ms=900.0, warm_up=True)])
    send(host, [
        timing_message(4 * step, total_ms=30 + step, stamp_ns=start_ns + step * 4 * PERIOD_NS)
        for step in range(20)
    ])  # fmt: skip
    summary = until(
        lambda: next((s for s in host.summaries if s.stages and s.stages[0].count == 20), None)
    )
    stages = {each.stage: each for each in summary.stages}
    assert list(stages) == [*STAGES, TOTAL]
    totals = 30 + np.arange(20)
    for name, percent in (('p50_ms', 50), ('p95_ms', 95), ('p99_ms', 99), ('max_ms', 100)):
        assert getattr(stages[TOTAL], name) == pytest.approx(np.percentile(totals, percent))
    assert sum(each.p50_ms for each in summary.stages[:-1]) == pytest.approx(stages[TOTAL].p50_ms)
    assert summary.command_rate_hz == pytest.approx(20.0)
    assert summary.warm_up_excluded == 1
    assert summary.observation_age.p50_ms == pytest.approx(np.percentile(totals, 50), abs=0.01)


def test_each_model_has_a_window_of_its_own(watching):
    host = watching()
    send(host, commands(5, model='one', total_ms=20.0))
    send(host, commands(5, model='two', backend='sara', total_ms=40.0))
    host.status.publish(running(model_id='two', attention_backend='sara'))
    summary = until(
        lambda: next((s for s in host.summaries if s.model_id == 'two' and s.stages), None)
    )
    assert [(each.model_id, each.attention_backend, each.commands) for each in summary.models] == [
        ('one', 'softmax', 5), ('two', 'sara', 5),
    ]  # fmt: skip
    assert [each.stages[-1].p50_ms for each in summary.models] == [20.0, 40.0]
    assert summary.stages[-1].p50_ms == 40.0


def test_the_policy_is_followed(watching):
    host = watching()
    becomes(host, 'policy', STALE, 'never heard of')
    host.status.publish(PolicyStatus(state='inactive'))
    becomes(host, 'policy', WARN, 'inactive')
    host.status.publish(PolicyStatus(state='active', dry_run=True))
    becomes(host, 'policy', OK, 'active, dry run')
    host.status.publish(
        PolicyStatus(state='active', clip_reasons=['range'], clip_counts=[3], last_error='oh')
    )
    values = becomes(host, 'policy', ERROR, 'oh')
    assert values['clipped range (count)'] == '3'
    becomes(host, 'policy', STALE, 'not heard of for')


def test_what_rests_on_a_status_grows_stale_with_it(watching):
    """A policy that was killed once went on with the OK of its last second."""
    host = watching()
    for what in ('commands', 'observations', 'process'):
        becomes(host, what, STALE, 'never heard of')
    host.status.publish(running(memory_bytes=50 << 20))
    becomes(host, 'process', OK, 'memory 50 MiB')
    for what in ('commands', 'observations', 'process'):
        values = becomes(host, what, STALE, 'not heard of for')
    assert values['memory (MiB)'] == '50.0'


def test_latency_is_judged_by_two_thresholds(watching):
    host = watching(
        window_commands=10, warn_latency_sec=0.05, error_latency_sec=0.2, stale_sec=60.0
    )
    becomes(host, 'timing', OK, 'no commands yet')
    for total_ms, level, text in (
        (40.0, OK, 'p95 40.0 ms'),
        (80.0, WARN, 'p95 80.0 ms, limit 0.05 s'),
        (300.0, ERROR, 'p95 300.0 ms, limit 0.2 s'),
    ):
        send(host, commands(10, total_ms=total_ms))
        values = becomes(host, 'timing', level, text)
    assert values['inference p99 (ms)'] == '295.000'


def test_a_run_without_commands_is_stale(watching):
    host = watching()
    host.status.publish(running())
    becomes(host, 'timing', STALE, 'no command for')
    host.status.publish(running(instruction=''))
    becomes(host, 'timing', OK, 'no commands yet')


def test_commands_and_observations_are_judged_by_their_shares(watching):
    """Superseded observations are what a fast camera is there for; the others are not."""
    host = watching(stale_sec=60.0)
    counts = {'observations_received': 100, 'commands_published': 100}
    host.status.publish(running(**counts))
    becomes(host, 'commands', OK, '')
    host.status.publish(running(
        observations_received=200, commands_published=200, holds=90, deadline_misses=5,
        drop_reasons=['superseded'], drop_counts=[50],
    ))  # fmt: skip
    becomes(host, 'commands', ERROR, '90.0 % of commands hold, limit 60 %')
    becomes(host, 'observations', OK, '0.0 % dropped')
    host.status.publish(running(
        observations_received=300, commands_published=300, holds=90, deadline_misses=10,
        drop_reasons=['late', 'superseded'], drop_counts=[60, 50],
    ))  # fmt: skip
    becomes(host, 'commands', WARN, 'of periods late, limit 1 %')
    values = becomes(host, 'observations', WARN, '30.0 % dropped, limit 10 %')
    assert values['dropped late (count)'] == '60'
    send(host, commands(10))
    host.status.publish(running(
        observations_received=400, commands_published=400, rate_hz=23.0, holds=90,
    ))  # fmt: skip
    becomes(host, 'commands', WARN, '20.0 Hz, 13.0 % below that of the model, limit 5 %')


def test_the_process_is_judged(watching):
    """CPU is the growth of its time over the growth of its age."""
    host = watching(
        warn_cpu_percent=50.0, error_memory_mib=100.0, warn_memory_mib=10.0, stale_sec=60.0
    )
    host.status.publish(running(running_sec=10.0, cpu_time_sec=5.0, memory_bytes=50 << 20))
    becomes(host, 'process', WARN, 'memory 50 MiB, limit 10 MiB')
    host.status.publish(running(
        running_sec=12.0, cpu_time_sec=6.5, memory_bytes=200 << 20, gpu_memory_bytes=3 << 20,
    ))  # fmt: skip
    until(lambda: any(s.cpu_percent == pytest.approx(75.0) for s in host.summaries))
    values = becomes(host, 'process', ERROR, 'memory 200 MiB, limit 100 MiB')
    assert values['gpu_memory (MiB)'] == '3.0'


def test_every_key_has_a_unit(watching):
    host = watching()
    host.status.publish(running(drop_reasons=['late'], drop_counts=[1]))
    send(host, commands(3))
    becomes(host, 'timing', OK, 'p95')
    units = {'ms', 's', 'Hz', '%', '% of one core', 'MiB', 'count', 'text', 'bool', 'id', 'path'}
    keys = [v.key for status in host.diagnostics[-1].status for v in status.values]
    assert {re.search(r'\(([^()]+)\)$', key)[1] for key in keys} <= units


def test_thresholds_in_the_wrong_order_are_refused(manager, station):
    manager(warn_latency_sec=0.5, error_latency_sec=0.1)
    assert not station.transition(CONFIGURE, NODE)


def test_an_unknown_export_format_is_refused(manager, station):
    manager(export_formats=['csv', 'xls'])
    assert not station.transition(CONFIGURE, NODE)


def test_a_session_is_exported(watching, station, tmp_path):
    """One folder per activation; all messages with their definitions, one line per command."""
    host = watching(export_dir=str(tmp_path))
    host.status.publish(running())
    action = station.publisher(EndEffectorAction, 'policy/action')
    action.publish(EndEffectorAction(model_id='fake', sequence=1))
    send(host, commands(20))
    becomes(host, 'export', OK, 'writing')
    until(lambda: int(diagnostic(host.diagnostics, 'export')[2]['csv written (count)']) == 20)
    assert station.transition(DEACTIVATE, NODE)
    [folder] = tmp_path.iterdir()
    assert len(read_csv(folder / 'commands.csv')) == 20
    space = station.namespace
    with AnyReader([folder / 'telemetry_0.mcap']) as reader:
        counts = {c.topic: c.msgcount for c in reader.connections}
        assert counts[f'{space}/policy/timing'] == 20
        assert counts[f'{space}/policy/action'] == 1
        assert {f'{space}/policy/status', f'{space}/{NODE}/timing', '/diagnostics'} <= set(counts)
        for connection, _, data in reader.messages():
            message = reader.deserialize(data, connection.msgtype)
            if connection.topic.endswith('policy/timing'):
                assert message.attention_backend == 'softmax'
    with (folder / 'telemetry_0.mcap').open('rb') as stream:
        reader = make_reader(stream)
        assert reader.get_header().profile == 'ros2'
        assert {schema.encoding for schema in reader.get_summary().schemas.values()} == {'ros2msg'}
    assert station.transition(ACTIVATE, NODE)
    send(host, commands(1))
    until(lambda: len(list(tmp_path.iterdir())) == 2, 'a folder of the second activation')


def test_a_process_that_ends_finishes_its_export(watching, tmp_path):
    """What came since the last flush was once lost on SIGTERM."""
    host = watching(export_dir=str(tmp_path), export_flush_sec=10.0)
    send(host, commands(5))
    until(lambda: host.summaries and any(s.count == 5 for s in host.summaries[-1].stages))
    host.on_executor(host.node.close)
    [folder] = tmp_path.iterdir()
    assert len(read_csv(folder / 'commands.csv')) == 5
    with AnyReader([folder / 'telemetry_0.mcap']) as reader:
        assert 5 in {connection.msgcount for connection in reader.connections}
    assert json.loads((folder / 'session.json').read_text())['export']['csv']['written'] == 5


def test_an_export_that_cannot_write_is_told_of_and_stops_nothing(watching, tmp_path):
    """The folder is a file here; a full disk is met in the same place."""
    (tmp_path / 'file').write_text('')
    host = watching(export_dir=str(tmp_path / 'file'))
    send(host, commands(5))
    values = becomes(host, 'export', WARN, 'Not a directory')
    assert int(values['csv failures (count)']) > 0
    assert values['csv held (count)'] == '5'
    until(lambda: host.summaries[-1].stages[0].count == 5)


def test_nothing_is_exported_unless_asked_for(watching):
    host = watching()
    becomes(host, 'export', OK, 'off')


def free_port():
    """Return a port of this machine that nobody listens on."""
    with socket.create_server(('127.0.0.1', 0)) as server:
        return server.getsockname()[1]


def test_prometheus_reads_the_figures(watching, station):
    port = free_port()
    host = watching(prometheus_port=port)
    host.status.publish(running(
        model_id='fa"ke', drop_reasons=['late'], drop_counts=[4], memory_bytes=1000,
        cpu_time_sec=2.5,
    ))  # fmt: skip
    send(host, commands(10, model='fa"ke'))
    until(lambda: host.summaries and host.summaries[-1].stages)
    url = f'http://127.0.0.1:{port}/metrics'
    with urlopen(url, timeout=5.0) as response:
        assert response.headers['Content-Type'].startswith('text/plain; version=0.0.4')
        text = response.read().decode()
    line = r'^(#.*|[a-z_]+(\{([a-z_]+="([^"\\]|\\.)*",?)*\})? -?[0-9.e+-]+)$'
    assert all(re.match(line, each) for each in text.splitlines())
    assert 'sara_ros_observations_dropped_total{reason="late"} 4\n' in text
    assert 'sara_ros_process_cpu_seconds_total 2.5\n' in text
    labels = r'model_id="fa\\"ke",attention_backend="softmax",stage="sensor_to_command"'
    found = re.search(rf'stage_latency_seconds\{{{labels},quantile="0.5"\}} (\S+)', text)
    assert float(found[1]) == pytest.approx(0.03)
    with pytest.raises(HTTPError, match='404'):
        urlopen(f'http://127.0.0.1:{port}/', timeout=5.0)
    assert station.transition(DEACTIVATE, NODE)
    with pytest.raises(OSError, match='refused'):
        urlopen(url, timeout=5.0)


def test_metrics_are_told_on_this_machine_only(watching):
    """Whoever can reach the machine over a network must not learn what it does."""
    port = free_port()
    watching(prometheus_port=port)
    table = Path('/proc/net/tcp').read_text() + Path('/proc/net/tcp6').read_text()
    listening = re.findall(rf'\s([0-9A-F]+):{port:04X} \S+ 0A ', table)
    assert listening == ['0100007F']


def test_a_port_that_is_taken_is_named(manager, station):
    with socket.create_server(('127.0.0.1', 0)) as server:
        host = manager(prometheus_port=server.getsockname()[1])
        assert station.transition(CONFIGURE, NODE)
        assert not station.transition(ACTIVATE, NODE)
        assert host.node.state_label == 'inactive'


def test_every_threshold_is_in_the_docs():
    text = (Path(__file__).parents[2] / 'docs' / 'telemetry.md').read_text()
    for spec in PARAMETERS:
        if spec.name.startswith(('warn_', 'error_')):
            shown = f'{spec.default:g}' if spec.default else 'off'
            assert re.search(rf'`{spec.name}` \({shown}\b', text), spec.name


def test_a_type_that_is_not_installed_is_named():
    with pytest.raises(ParameterError, match='definition of nosuch_msgs/msg/Odd is not installed'):
        message_definition('nosuch_msgs/msg/Odd')
