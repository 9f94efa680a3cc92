"""Fixtures that every room's tests share."""

from __future__ import annotations

from collections.abc import Iterator
import os
from typing import TYPE_CHECKING

import pytest

from sara_ros.core.ros_domains import claim_domain

if TYPE_CHECKING:
    from rclpy.context import Context

# Before any test imports mujoco: no display is needed.
os.environ.setdefault('MUJOCO_GL', 'osmesa')


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let ``make test-faults`` say where its report goes."""
    parser.addoption('--faults-report', help='write what the injected faults did to this folder')


@pytest.fixture
def ros_domain(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """
    Give the test a ROS domain of its own, on this machine only.

    The environment says so as well, for `rclpy.init()` and for processes the test starts.
    """
    with claim_domain() as domain:
        monkeypatch.setenv('ROS_DOMAIN_ID', str(domain))
        monkeypatch.setenv('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
        yield domain


@pytest.fixture
def ros_context(ros_domain: int) -> Iterator[Context]:
    """Give the test an initialised rclpy context in a domain of its own."""
    rclpy = pytest.importorskip('rclpy')
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=ros_domain)
    yield context
    context.try_shutdown()
