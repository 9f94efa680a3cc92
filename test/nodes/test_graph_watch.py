"""``sara-ros top`` over a real graph: what is published is what is shown."""

import io
import time

import pytest

pytest.importorskip('rclpy')

from nodes.host import ACTIVATE, CONFIGURE, until
from nodes.timings import timing_message

from sara_ros.cli.top import show_graph
from sara_ros.core import ParameterError
from sara_ros.core.health import Level
from sara_ros.nodes import qos
from sara_ros.nodes.graph_watch import GraphWatch
from sara_ros_msgs.msg import InferenceTiming, PolicyStatus, SwapStatus

NODE = 'model_manager'


@pytest.fixture
def watch(space, domain):
    """Watch the test's namespace."""
    with GraphWatch(f'{space}/policy', f'{space}/{NODE}', domain_id=domain) as watch:
        yield watch


def test_a_graph_is_seen_as_it_is(manager, station, watch, space, tmp_path):
    manager(stale_sec=60.0, export_dir=str(tmp_path))
    assert station.transition(CONFIGURE, NODE)
    assert station.transition(ACTIVATE, NODE)
    station.publisher(PolicyStatus, 'policy/status', qos.LATCHED).publish(PolicyStatus(
        model_id='fake', attention_backend='softmax', state='active', instruction='go',
        rate_hz=20.0, holds=3, drop_reasons=['late'], drop_counts=[4],
    ))  # fmt: skip
    station.publisher(SwapStatus, 'policy/swap_status', qos.LATCHED).publish(
        SwapStatus(state='rolled_back', message='too slow')
    )
    timing = station.publisher(InferenceTiming, 'policy/timing')
    start_ns = time.time_ns()
    for step in range(20):
        timing.publish(timing_message(step, stamp_ns=start_ns + step * 50_000_000))
        time.sleep(0.02)
    status = until(lambda: (s := watch.status()).stages and s.stages[-1].count == 20 and s)
    assert (status.model_id, status.state, status.instruction) == ('fake', 'active', 'go')
    assert status.total.p50_ms == 30.0
    assert status.drops == {'late': 4}
    assert status.counts['holds'] == 3
    assert status.swap == 'rolled_back: too slow'
    assert status.command_rate_hz == pytest.approx(20.0)
    assert [(each.model_id, each.commands) for each in status.models] == [('fake', 20)]
    assert {each.name for each in status.health} >= {'policy', 'timing', 'commands', 'export'}
    assert status.level == Level.OK
    assert f'{space}/{NODE}' in status.nodes
    assert not any('_tap' in name for name in status.nodes)
    topics = {each.name: each for each in status.topics}
    row = topics[f'{space}/policy/timing']
    assert (row.publishers, row.subscribers) == (1, 2)  # the manager and its export
    assert 1 < row.rate_hz < 100  # 50, where nothing else runs


def test_a_graph_without_anything(watch):
    status = watch.status()
    assert status.heard_sec is None
    assert status.level == Level.STALE


def test_lines_in_a_pipe(space, domain):
    stream = io.StringIO()
    started = time.monotonic()
    show_graph(f'{space}/policy', NODE, seconds=0.5, period_sec=0.2, stream=stream)
    assert time.monotonic() - started < 30.0
    lines = stream.getvalue().splitlines()
    assert 1 <= len(lines) <= 3
    assert all(line.startswith('no policy heard of') for line in lines)


def test_names_that_cannot_be_are_refused(domain):
    with pytest.raises(ParameterError, match='bad name'):
        GraphWatch('bad name', NODE, domain_id=domain)


def test_the_health_of_another_namespace_is_not_shown(manager, station, watch, space, domain):
    """The name of a manager without a namespace is the end of every other one's."""
    manager(stale_sec=60.0)
    assert station.transition(CONFIGURE, NODE)
    assert station.transition(ACTIVATE, NODE)
    with GraphWatch('policy', NODE, domain_id=domain) as other:
        until(lambda: watch.status().health)
        time.sleep(0.5)
        assert other.status().health == []
