"""Swap, shadow run and rollback over real topics, while commands go out."""

import gc
import shutil
import sys
import threading
import time

from policies.small_models import make
import pytest
import torch

from sara_ros.policies import checkpoint as checkpoints

rclpy = pytest.importorskip('rclpy')

from nodes.host import ACTIVATE, CLEANUP, CONFIGURE, DEACTIVATE, Host, until  # noqa: E402
from nodes.sensors import Sensors  # noqa: E402

from sara_ros.core.resources import package_folder  # noqa: E402
from sara_ros.nodes import qos  # noqa: E402
from sara_ros.nodes.model_manager import ModelManagerNode  # noqa: E402
from sara_ros.nodes.policy import PolicyNode  # noqa: E402
from sara_ros.nodes.process import SWITCH_INTERVAL_SEC  # noqa: E402
from sara_ros.nodes.ros_time import to_ns  # noqa: E402
from sara_ros.policies.loading import load_policy  # noqa: E402
from sara_ros_msgs.msg import (  # noqa: E402
    EndEffectorAction,
    ModelList,
    ShadowReport,
    SwapStatus,
)
from sara_ros_msgs.srv import EndShadow, Rollback, SwapModel  # noqa: E402

PATIENT = {'observation_timeout_sec': 60.0, 'chunk_timeout_sec': 60.0, 'command_max_slew': 0.1}
QUICK = {'swap_trial_chunks': 5, 'swap_budget_sec': 0.5}
WATCH = {'watch_period_sec': 0.1, 'summary_period_sec': 0.2}


@pytest.fixture(autouse=True)
def switching():
    """Let threads hand the interpreter over as quickly as in a process of the nodes."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_INTERVAL_SEC)
    yield
    sys.setswitchinterval(before)


def vary(models_dir, checkpoint):
    """Change the weights of a model a little."""
    weights = checkpoints.read(models_dir, checkpoint.spec.model_id).load_weights()
    torch.manual_seed(2)
    varied = {name: each + 0.01 * torch.randn_like(each) for name, each in sorted(weights.items())}
    checkpoints.save(models_dir, checkpoint, varied)


@pytest.fixture
def models(tmp_path):
    """Return a folder with three models; `cloudy` sees other sensors than the others."""
    make(tmp_path, 'rt2', 'one')
    vary(tmp_path, make(tmp_path, 'rt2', 'two'))
    make(tmp_path, 'pct', 'cloudy')
    return tmp_path


class Graph:
    """A policy node and a model manager, with what an operator sees of a swap."""

    def __init__(self, context, station, space, **parameters):
        manager = {**WATCH, **parameters.pop('manager', {})}
        models_dir = parameters['models_dir']
        self._station = station
        self.policy_host = Host(
            context, PolicyNode, namespace=space, **{**PATIENT, **QUICK, **parameters}
        )
        self.manager_host = Host(
            context, ModelManagerNode, namespace=space, models_dir=models_dir, **manager
        )
        self.client = station.policy()
        for node in ('policy', 'model_manager'):
            assert station.transition(CONFIGURE, node)
            assert station.transition(ACTIVATE, node)
        self.statuses = station.collect(SwapStatus, 'policy/swap_status', qos.EACH_STATE)
        self.actions = station.collect(EndEffectorAction, 'policy/action', qos.COMMAND)

    def close(self):
        self.manager_host.__exit__()
        self.policy_host.__exit__()

    def run(self):
        """Start a run and wait until it is under way."""
        self.client.send('reach the red block')
        until(lambda: len(self.actions) > 5, 'commands')

    def swap(self, model_id='', backend='', node='model_manager', **fields):
        """Return the answer to a request."""
        request = SwapModel.Request(model_id=model_id, attention_backend=backend, **fields)
        return self._station.call(SwapModel, f'{node}/swap_model', request)

    def rollback(self):
        """Return the answer to a rollback."""
        return self._station.call(Rollback, 'model_manager/rollback')

    def end_shadow(self, promote):
        """Return the answer to the end of a shadow run."""
        request = EndShadow.Request(promote=promote)
        return self._station.call(EndShadow, 'model_manager/end_shadow', request)

    def wait(self, state):
        """Wait for a state and return its message."""
        until(lambda: self.statuses and self.statuses[-1].state == state, f'state {state}')
        return self.statuses[-1]

    def assert_every_command_arrived(self):
        """How evenly they come is measured by `demo-swap`."""
        numbers = [each.sequence for each in self.actions]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))

    def commands_between(self, first, last):
        """Return how many commands were stamped between two states of the swap."""
        entered = {status.state: to_ns(status.header.stamp) for status in self.statuses}
        stamps = [to_ns(each.header.stamp) for each in self.actions]
        return sum(entered[first] < each < entered[last] for each in stamps)


@pytest.fixture
def graph(context, station, space, models):
    """Return a function that brings both nodes up."""
    graphs = []
    # As in a node's process: a search through all that the tests have imported takes 0.15 s.
    gc.collect()
    gc.freeze()

    def start(**parameters):
        defaults = {'model': 'one', 'models_dir': str(models)}
        graphs.append(Graph(context, station, space, **{**defaults, **parameters}))
        return graphs[-1]

    yield start
    gc.unfreeze()
    for each in graphs:
        each.close()


def test_the_shipped_model_changes_its_attention_backend_under_commands(graph, station):
    """The arm is commanded during the load; the answer and the topic tell each state."""
    folder = str(package_folder('models'))
    driven = graph(model='rt2-tabletop', models_dir=folder)
    with Sensors(station, wrist=True):
        driven.run()
        answer = driven.swap(backend='sara')
        assert (answer.success, answer.state) == (True, 'trial'), answer.message
        assert answer.active_model_id == 'rt2-tabletop'
        status = driven.wait('active')
        assert status.active.attention_backend == 'sara'
        assert status.previous.attention_backend == 'softmax'
        assert len(status.active.weights_sha256) == 64
        driven.client.wait(lambda status: status.attention_backend == 'sara')
        driven.assert_every_command_arrived()
        assert driven.commands_between('loading', 'ready') > 0
    seen = [status.state for status in driven.statuses]
    assert seen == ['idle', 'loading', 'warming', 'ready', 'trial', 'active']
    late = station.collect(SwapStatus, 'policy/swap_status', qos.LATCHED)
    until(lambda: late and late[-1].state == 'active', 'the latched state')


def test_a_swap_between_models_and_back(graph, station):
    driven = graph()
    with Sensors(station):
        driven.run()
        assert driven.swap('two').success
        driven.wait('active')
        until(lambda: driven.actions[-1].model_id == 'two')
        answer = driven.rollback()
        assert (answer.success, answer.state) == (True, 'rolled_back'), answer.message
        assert answer.active_model_id == 'one'
        until(lambda: driven.actions[-1].model_id == 'one')
        driven.assert_every_command_arrived()
        answer = driven.rollback()
        assert not answer.success
        assert 'no model to go back to' in answer.message
    names = [each.model_id for each in driven.actions if not each.hold]
    assert set(names) == {'one', 'two'}


@pytest.mark.parametrize(
    ('fields', 'text'),
    [
        ({'model_id': 'nosuch'}, "model 'nosuch' not found"),
        ({'model_id': '../one'}, 'not a plain folder name'),
        ({'model_id': 'linked'}, 'leads outside'),
        ({'model_id': 'changed'}, 'SHA-256'),
        ({'model_id': 'cloudy'}, "needs the observation 'points', which nothing subscribes to"),
        ({'model_id': 'two', 'backend': 'magic'}, 'magic'),
        ({'model_id': 'two', 'device': 'banana'}, 'banana'),
        ({'model_id': 'two', 'runtime': 'banana'}, "runtime is 'banana'; known: torch"),
        ({'model_id': 'two', 'weights_sha256': 'ab' * 32}, 'not abababababab... as asked for'),
    ],
)
def test_what_cannot_serve_is_refused_and_the_old_one_goes_on(
    context, station, graph, models, tmp_path_factory, fields, text
):
    outside = tmp_path_factory.mktemp('outside')
    make(outside, 'rt2', 'linked')
    (models / 'linked').symlink_to(outside / 'linked')
    shutil.copytree(models / 'two', models / 'changed')
    policy = models / 'changed' / 'policy.json'
    policy.write_text(policy.read_text().replace('"two"', '"changed"'))
    weights = models / 'changed' / 'weights.safetensors'
    weights.write_bytes(weights.read_bytes()[:-1] + b'\x55')
    driven = graph()
    until(lambda: driven.manager_host.node._swaps.status.state, 'the manager')
    answer = driven.swap(**fields)
    assert not answer.success
    assert text in answer.message
    assert '\n' not in answer.message
    assert answer.active_model_id == 'one'
    until(lambda: driven.client.status.model_id == 'one', 'the status')


def test_other_weights_than_the_verified_ones_are_refused(graph):
    """What the manager verified is what the policy node loads, and nothing else."""
    driven = graph()
    answer = driven.swap('two', node='policy', weights_sha256='ab' * 32)
    assert (answer.success, answer.state) == (False, 'refused')
    assert 'as asked for' in answer.message


def test_an_identical_reload_is_skipped(graph):
    driven = graph()
    answer = driven.swap('one')
    assert (answer.success, answer.state) == (True, 'skipped')
    assert "'one' (softmax, cpu) already serves" in answer.message


def slow_loading(monkeypatch):
    """Have candidates wait for an event while they are loaded."""
    go_on = threading.Event()

    def load(*arguments, **options):
        assert go_on.wait(20.0)
        return load_policy(*arguments, **options)

    monkeypatch.setattr('sara_ros.policies.candidate.load_policy', load)
    return go_on


def test_two_requests_at_once(graph, station, monkeypatch):
    """The second is refused with the state; sensors and commands go on during the first."""
    go_on = slow_loading(monkeypatch)
    driven = graph()
    request = SwapModel.Request(model_id='two')
    client = station.node.create_client(SwapModel, station.in_namespace('policy/swap_model'))
    assert client.wait_for_service(5.0)
    with Sensors(station):
        driven.run()
        first = client.call_async(request)
        driven.wait('loading')
        answer = driven.swap('two')
        assert (answer.success, answer.state) == (False, 'loading')
        assert "a change to 'two'" in answer.message
        count = len(driven.actions)
        until(lambda: len(driven.actions) > count + 5, 'commands during the load')
        go_on.set()
        assert station.answer(first).success
        driven.wait('active')
        driven.assert_every_command_arrived()


def test_the_lifecycle_goes_on_during_a_load(graph, station, monkeypatch):
    """A deactivation keeps the change; a cleanup ends and answers it, and nothing comes of it."""
    go_on = slow_loading(monkeypatch)
    driven = graph()
    client = station.node.create_client(SwapModel, station.in_namespace('policy/swap_model'))
    assert client.wait_for_service(5.0)
    first = client.call_async(SwapModel.Request(model_id='two'))
    driven.wait('loading')
    assert station.transition(DEACTIVATE)
    assert driven.statuses[-1].state == 'loading'
    assert station.transition(CLEANUP)
    answer = station.answer(first)
    assert (answer.success, answer.state) == (False, 'refused')
    assert 'the model was released' in answer.message
    assert station.transition(CONFIGURE)
    go_on.set()
    time.sleep(0.3)
    assert driven.wait('idle').active.model_id == 'one'
    answer = driven.swap('two', node='policy')
    assert (answer.success, answer.active_model_id) == (True, 'two')
    assert station.transition(CLEANUP)
    answer = driven.swap('two', node='policy')
    assert 'configure the policy node first' in answer.message


def test_the_manager_says_when_there_is_nobody_to_ask(graph, station):
    driven = graph(manager={'policy': 'nobody'})
    answer = driven.swap('two')
    assert not answer.success
    assert 'no policy node offers' in answer.message
    assert station.transition(DEACTIVATE, 'model_manager')
    assert 'activate it first' in driven.swap('two').message
    assert 'activate it first' in driven.rollback().message


def test_a_shadow_is_compared_and_promoted_by_rule(graph, station):
    limits = {
        'shadow_window_chunks': 8, 'shadow_max_difference': 2.0, 'shadow_max_latency_sec': 5.0,
        'shadow_decide': True,
    }  # fmt: skip
    driven = graph(manager=limits)
    reports = station.collect(ShadowReport, 'model_manager/shadow_report')
    with Sensors(station):
        driven.run()
        answer = driven.swap('two', 'sara', shadow=True)
        assert (answer.success, answer.state) == (True, 'shadow'), answer.message
        driven.wait('active')
        driven.assert_every_command_arrived()
    assert driven.statuses[-1].active.model_id == 'two'
    decided = until(lambda: [each for each in reports if each.verdict])[0]
    assert (decided.verdict, decided.chunks, decided.errors) == ('promote', 8, 0)
    assert (decided.candidate.model_id, decided.candidate.attention_backend) == ('two', 'sara')
    assert decided.active.model_id == 'one'
    assert list(decided.dimension_names)[1] == 'x'
    assert len(decided.p95_difference) == len(decided.mean_difference) == 8
    assert max(decided.p95_difference) > 0
    assert decided.candidate_latency.count == 8
    assert decided.candidate_latency.p95_ms > 0
    promoted = [each for each in driven.statuses if each.message.startswith('shadow promoted')]
    assert 'by rule: p95 difference' in promoted[0].message


def test_a_shadow_is_promoted_or_discarded_on_request(graph, station):
    driven = graph(manager={'shadow_window_chunks': 4, 'shadow_max_latency_sec': 0.0})
    reports = station.collect(ShadowReport, 'model_manager/shadow_report')
    with Sensors(station):
        driven.run()
        assert driven.end_shadow(promote=True).message == "no shadow runs; the state is 'idle'"
        assert driven.swap('two', shadow=True).state == 'shadow'
        until(lambda: reports and reports[-1].verdict == 'discard', 'the verdict')
        assert 'limit 0 ms' in reports[-1].message
        assert driven.statuses[-1].state == 'shadow'
        assert {each.model_id for each in driven.actions if not each.hold} == {'one'}
        answer = driven.end_shadow(promote=False)
        assert (answer.success, answer.state) == (True, 'discarded')
        assert driven.swap('two', shadow=True).state == 'shadow'
        answer = driven.end_shadow(promote=True)
        assert (answer.success, answer.active_model_id) == (True, 'two')


def test_new_and_changed_models_are_listed(graph, station, models, tmp_path_factory):
    graph()
    lists = station.collect(ModelList, 'model_manager/models', qos.LATCHED)

    def listed():
        return {each.id: each.error for each in lists[-1].models} if lists else {}

    until(lambda: set(listed()) == {'cloudy', 'one', 'two'}, 'the models')
    assert not any(listed().values())
    make(models, 'rt2', 'three')
    until(lambda: listed().get('three') == '', 'the new model')
    weights = models / 'three' / 'weights.safetensors'
    weights.write_bytes(weights.read_bytes()[:-8])
    until(lambda: 'SHA-256' in listed()['three'], 'the change')
    assert not {each.id: each.verified for each in lists[-1].models}['three']
    shutil.rmtree(models / 'three')
    until(lambda: 'three' not in listed(), 'the removal')
    outside = tmp_path_factory.mktemp('outside')
    make(outside, 'rt2', 'four')
    (models / 'four').symlink_to(outside / 'four')
    until(lambda: 'leads outside' in listed().get('four', ''), 'the link')
