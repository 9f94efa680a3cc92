"""A domain and a station per module: joining a graph takes longer than most tests."""

from itertools import count
import os

import pytest

from sara_ros.core.ros_domains import claim_domain

rclpy = pytest.importorskip('rclpy')
pytest.importorskip('sara_ros_msgs')

NUMBERS = count(1)
PATIENT = {'observation_timeout_sec': 60.0, 'chunk_timeout_sec': 60.0}


@pytest.fixture(scope='module')
def domain():
    """Claim a ROS domain for the module, also for processes that its tests start."""
    with claim_domain() as domain_id, pytest.MonkeyPatch.context() as patch:
        patch.setenv('ROS_DOMAIN_ID', str(domain_id))
        patch.setenv('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
        patch.setenv('MUJOCO_GL', os.environ.get('MUJOCO_GL', 'osmesa'))
        yield domain_id


@pytest.fixture(scope='module')
def context(domain):
    """Initialise the context of the nodes under test."""
    yield from _context(domain)


@pytest.fixture(scope='module')
def station(domain):
    """Join the domain of the module as an operator, in a context of its own."""
    from nodes.host import Station

    for context in _context(domain):
        with Station(context) as operator:
            yield operator


def _context(domain):
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=domain)
    yield context
    context.try_shutdown()


@pytest.fixture
def space(station):
    """Give the test a namespace, and have the station work in it."""
    station.namespace = f'/space_{next(NUMBERS)}'
    yield station.namespace
    station.namespace = ''


@pytest.fixture
def serve(context, station, space, monkeypatch):
    """Return a function that activates a policy node and returns its host and its client."""
    from nodes.host import ACTIVATE, CONFIGURE, Host

    from sara_ros.nodes.policy import PolicyNode

    hosts = []

    def start(policy, **parameters):
        monkeypatch.setattr('sara_ros.nodes.policy.load_policy', lambda *_, **__: policy)
        host = Host(context, PolicyNode, namespace=space, **{**PATIENT, **parameters})
        hosts.append(host)
        client = station.policy()
        assert station.transition(CONFIGURE)
        assert station.transition(ACTIVATE)
        return host, client

    yield start
    for host in hosts:
        host.__exit__()


@pytest.fixture
def manager(context, space):
    """Return a function that makes a model manager with short periods."""
    from nodes.host import Host

    from sara_ros.nodes.model_manager import ModelManagerNode

    hosts = []
    quick = {'summary_period_sec': 0.1, 'stale_sec': 0.5, 'export_flush_sec': 0.1}

    def start(**parameters):
        hosts.append(Host(context, ModelManagerNode, namespace=space, **{**quick, **parameters}))
        return hosts[-1]

    yield start
    for host in hosts:
        host.__exit__()
