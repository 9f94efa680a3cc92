"""A domain and a station per module: joining a graph takes longer than most tests."""

from itertools import count
import os

import pytest

from sara_ros.core.ros_domains import claim_domain

rclpy = pytest.importorskip('rclpy')
pytest.importorskip('sara_ros_msgs')

NUMBERS = count(1)


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
