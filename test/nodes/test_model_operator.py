"""An operator swaps, shadows and rolls back through the model manager."""

from policies.small_models import make
import pytest

pytest.importorskip('rclpy')

from nodes.host import Host
from nodes.sensors import Sensors

from sara_ros.nodes.graph_client import GraphClient
from sara_ros.nodes.model_manager import ModelManagerNode
from sara_ros.nodes.model_operator import ModelOperator
from sara_ros.nodes.policy import PolicyNode
from sara_ros.nodes.process import bring_up

PATIENT = {'observation_timeout_sec': 60.0, 'chunk_timeout_sec': 60.0, 'command_max_slew': 0.1}
QUICK = {'swap_trial_chunks': 5, 'swap_budget_sec': 0.5}
LOOSE = {
    'shadow_window_chunks': 4, 'shadow_max_difference': 2.0, 'shadow_max_latency_sec': 5.0,
}  # fmt: skip


@pytest.fixture
def operator(context, station, domain, tmp_path):
    """Join a graph of a policy node and a manager, whose sensors run."""
    make(tmp_path, 'rt2', 'one')
    make(tmp_path, 'rt2', 'two', width=16)
    folder = {'models_dir': str(tmp_path)}
    with (
        Host(context, PolicyNode, model='one', **PATIENT, **QUICK, **folder) as policy,
        Host(context, ModelManagerNode, **LOOSE, **folder) as manager,
        GraphClient(domain_id=domain) as client,
    ):
        for each in (policy, manager):
            each.on_executor(lambda node=each.node: bring_up(node))
        with Sensors(station):
            joined = ModelOperator(client, lambda: joined.instruct('reach the red block'))
            yield joined


def test_a_tour_of_all_changes(operator):
    """Each change is waited for to its end, whatever that is."""
    operator.wait_for_manager()
    seen = len(operator.statuses)
    answer = operator.swap(model_id='nosuch')
    assert not answer.success
    assert "'nosuch' not found" in answer.message
    assert operator.swap(model_id='two').state == 'trial'
    status = operator.settled(seen)
    assert (status.state, status.active.model_id) == ('active', 'two')
    reports = len(operator.reports)
    assert operator.shadow(model_id='one').state == 'shadow'
    assert operator.verdict('one', reports).verdict == 'promote'
    seen = len(operator.statuses)
    assert operator.end_shadow(promote=False).success
    assert operator.settled(seen).state == 'discarded'
    assert operator.rollback().state == 'rolled_back'
