"""A domain and a station per module: joining a graph takes longer than most tests."""

import os

import pytest

from sara_ros.core.ros_domains import claim_domain

rclpy = pytest.importorskip('rclpy')
pytest.importorskip('sara_ros_msgs')


@pytest.fixture(scope='module')
def domain():
    """Claim a ROS domain for the module, also for processes that its tests start."""
    with claim_domain() as domain_id, pytest.MonkeyPatch.context() as patch:
        patch.setenv('ROS_DOMAIN_ID', str(domain_id))
        patch.setenv('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
        patch.setenv('MUJOCO_GL', os.environ.get('MUJOCO_GL', 'osmesa'))
        yield domain_id


@pytest.fixture(scope='module')
def station(domain):
    """Join the domain of the module as an operator."""
    from nodes.host import Station

    with Station(domain) as operator:
        yield operator
