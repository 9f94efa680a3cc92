"""The model manager over real topics: what can be served, and how long serving takes."""

import time

import numpy as np
from policies.small_models import make
import pytest

from sara_ros.core import STAGES, TimingRecord
from sara_ros.core.timing import TOTAL

rclpy = pytest.importorskip('rclpy')

from core.fakes import action, policy_spec  # noqa: E402
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus  # noqa: E402
from nodes.host import ACTIVATE, CLEANUP, CONFIGURE, DEACTIVATE, Host, until  # noqa: E402

from sara_ros.core.serving import Command  # noqa: E402
from sara_ros.nodes import qos  # noqa: E402
from sara_ros.nodes.command_codec import encode_timing  # noqa: E402
from sara_ros.nodes.model_manager import ModelManagerNode  # noqa: E402
from sara_ros_msgs.msg import InferenceTiming, PolicyStatus, TimingSummary  # noqa: E402
from sara_ros_msgs.srv import ListModels, VerifyModel  # noqa: E402

NODE = 'model_manager'
QUICK = {'summary_period_sec': 0.1, 'stale_sec': 0.5}


@pytest.fixture
def manager(context, space):
    """Return a function that makes a model manager."""
    hosts = []

    def start(**parameters):
        hosts.append(Host(context, ModelManagerNode, namespace=space, **{**QUICK, **parameters}))
        return hosts[-1]

    yield start
    for host in hosts:
        host.__exit__()


@pytest.fixture(scope='module')
def models(tmp_path_factory):
    """Return a folder with two good models and three broken ones."""
    folder = tmp_path_factory.mktemp('models')
    for name, kind in (('cloudy', 'pct'), ('good', 'rt2'), ('changed', 'rt2'), ('odd', 'rt2')):
        make(folder, kind, name)
    weights = folder / 'changed' / 'weights.safetensors'
    weights.write_bytes(weights.read_bytes()[:-1] + b'\x55')
    policy = folder / 'odd' / 'policy.json'
    policy.write_text(policy.read_text().replace('"width": 32', '"width": "wide"'))
    (folder / 'empty').mkdir()
    return folder


def test_models_are_listed_with_what_is_wrong(manager, station, models):
    """The services answer in every state, so before any configuration too."""
    manager(models_dir=str(models))
    listed = {info.id: info for info in station.call(ListModels, f'{NODE}/list_models').models}
    assert list(listed) == ['changed', 'cloudy', 'empty', 'good', 'odd']
    good = listed['good']
    assert (good.kind, good.verified, good.error, good.horizon) == ('rt2', True, '', 1)
    assert good.observation_names == ['front', 'ee_pose', 'finger_joint']
    assert len(good.weights_sha256) == 64
    assert not listed['changed'].verified
    assert 'SHA-256' in listed['changed'].error
    assert 'policy.json' in listed['empty'].error


@pytest.mark.parametrize(
    ('model', 'text'),
    [
        ('changed', 'SHA-256'),
        ('empty', 'policy.json'),
        ('odd', 'width'),
        ('nosuch', "model 'nosuch' not found in"),
        ('../good', 'not a plain folder name'),
        ('', 'not a plain folder name'),
    ],
)
def test_broken_models_are_told_of(manager, station, models, model, text):
    manager(models_dir=str(models))
    answer = station.call(VerifyModel, f'{NODE}/verify_model', VerifyModel.Request(model_id=model))
    assert not answer.ok
    assert text in answer.message
    assert '\n' not in answer.message


@pytest.mark.parametrize('model', ['good', 'cloudy'])
def test_good_models_are_verified(manager, station, models, model):
    manager(models_dir=str(models))
    answer = station.call(VerifyModel, f'{NODE}/verify_model', VerifyModel.Request(model_id=model))
    assert (answer.ok, answer.info.verified, answer.info.id) == (True, True, model)
    assert 'one inference' in answer.message


def test_a_model_that_breaks_while_acting_does_not_end_the_node(
    manager, station, models, monkeypatch
):
    """Any error but ours once ended the process whose job it is to look at broken models."""
    manager(models_dir=str(models))
    monkeypatch.setattr('sara_ros.nodes.model_codec.warm_up', lambda *_, **__: 1 / 0)
    request = VerifyModel.Request(model_id='good')
    answer = station.call(VerifyModel, f'{NODE}/verify_model', request)
    assert not answer.ok
    assert 'ZeroDivisionError' in answer.message


def test_a_folder_that_is_not_there_is_named(manager, station):
    """It once counted as a folder without models; the service must answer all the same."""
    manager(models_dir='/nowhere')
    assert not station.transition(CONFIGURE, NODE)
    assert station.call(ListModels, f'{NODE}/list_models').models == []
    request = VerifyModel.Request(model_id='good')
    assert not station.call(VerifyModel, f'{NODE}/verify_model', request).ok


def timing_message(sequence, *, total_ms=30.0, warm_up=False, stamp_ns=None):
    """Return the timing of a command: every stage the same, inference what is left."""
    timing = TimingRecord.received(stamp_ns=0, received_ros_ns=1_000_000, received_ns=0)
    ends = dict(zip(STAGES[1:], (1, 2, total_ms - 3, total_ms - 2, total_ms - 1), strict=True))
    for stage, end_ms in ends.items():
        timing = timing.mark(stage, int(end_ms * 1e6))
    command = Command(
        values=action(), sequence=sequence, terminate=False, hold=False, warm_up=warm_up,
        observation_stamp_ns=0, timing=timing,
    )  # fmt: skip
    return encode_timing(command, timing, policy_spec(), stamp_ns or time.time_ns())


def level_of(diagnostics, what):
    """Return level and message of the newest diagnostic about ``what``."""
    for array in reversed(diagnostics):
        for status in array.status:
            if status.name.endswith(what):
                return status.level, status.message
    return None


@pytest.fixture
def watching(manager, station, models):
    """Return an active manager's host with what it says and hears."""
    host = manager(models_dir=str(models), warn_latency_sec=0.05)
    assert station.transition(CONFIGURE, NODE)
    assert station.transition(ACTIVATE, NODE)
    host.summaries = station.collect(TimingSummary, f'{NODE}/timing')
    host.diagnostics = station.collect(DiagnosticArray, '/diagnostics')
    host.timing = station.publisher(InferenceTiming, 'policy/timing')
    host.status = station.publisher(PolicyStatus, 'policy/status', qos.LATCHED)
    return host


def test_timing_is_summed_up(watching):
    """Warm-up stays out. The rate counts every command: of a chunk of four, one carries timing."""
    start_ns = time.time_ns()
    watching.timing.publish(timing_message(0, total_ms=900.0, warm_up=True))
    for step in range(20):
        message = timing_message(
            4 * step, total_ms=30 + step, stamp_ns=start_ns + step * 200_000_000
        )
        watching.timing.publish(message)
        time.sleep(0.01)  # faster than its queue of ten, the oldest would be lost
    summary = until(
        lambda: next((s for s in watching.summaries if s.stages and s.stages[0].count == 20), None)
    )
    stages = {each.stage: each for each in summary.stages}
    assert list(stages) == [*STAGES, TOTAL]
    totals = 30 + np.arange(20)
    assert stages[TOTAL].p50_ms == pytest.approx(np.percentile(totals, 50))
    assert stages[TOTAL].p99_ms == pytest.approx(np.percentile(totals, 99))
    assert stages[TOTAL].max_ms == 49.0
    assert sum(each.p50_ms for each in summary.stages[:-1]) == pytest.approx(stages[TOTAL].p50_ms)
    assert summary.command_rate_hz == pytest.approx(20.0)


def test_another_model_starts_the_statistics_anew(watching):
    watching.status.publish(PolicyStatus(model_id='one', state='active'))
    until(lambda: watching.summaries and watching.summaries[-1].model_id == 'one')
    watching.timing.publish(timing_message(1))
    until(lambda: watching.summaries[-1].stages)
    watching.status.publish(PolicyStatus(model_id='two', state='active'))
    until(lambda: watching.summaries[-1].model_id == 'two')
    assert not watching.summaries[-1].stages


def test_diagnostics_follow_the_policy(watching):
    levels = watching.diagnostics

    def becomes(level, text):
        until(
            lambda: (
                (found := level_of(levels, 'policy')) and found[0] == level and text in found[1]
            )
        )

    becomes(DiagnosticStatus.STALE, 'never heard of')
    for status, level, text in (
        (PolicyStatus(state='inactive'), DiagnosticStatus.WARN, 'inactive'),
        (PolicyStatus(state='active'), DiagnosticStatus.OK, 'active'),
        (PolicyStatus(state='active', last_error='oh'), DiagnosticStatus.ERROR, 'oh'),
    ):
        watching.status.publish(status)
        becomes(level, text)
    becomes(DiagnosticStatus.STALE, 'not heard of for')
    assert level_of(levels, 'timing') == (DiagnosticStatus.OK, 'no commands yet')
    for step in range(5):
        watching.timing.publish(timing_message(step, total_ms=80.0))
    until(lambda: level_of(levels, 'timing')[0] == DiagnosticStatus.WARN)
    assert 'p95 80.0 ms is above 50 ms' in level_of(levels, 'timing')[1]


def test_lifecycle_again_and_again_leaves_nothing_behind(watching, station):
    node = watching.node

    def held():
        return (
            len(list(node.publishers)), len(list(node.subscriptions)), len(list(node.timers)),
            len(node._managed_entities),
        )  # fmt: skip

    before = held()
    for _ in range(3):
        for transition in (DEACTIVATE, CLEANUP, CONFIGURE, ACTIVATE):
            assert station.transition(transition, NODE)
    assert held() == before
    silent = station.transition(DEACTIVATE, NODE)
    assert silent
    time.sleep(0.2)
    count = len(watching.summaries)
    time.sleep(0.3)
    assert len(watching.summaries) == count


def test_an_activation_that_fails_leaves_the_node_inactive(manager, station, models):
    host = manager(models_dir=str(models), policy='bad name')
    assert station.transition(CONFIGURE, NODE)
    before = len(list(host.node.timers))
    assert not station.transition(ACTIVATE, NODE)
    assert host.node.state_label == 'inactive'
    assert len(list(host.node.timers)) == before
