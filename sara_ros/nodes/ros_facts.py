"""Which ROS 2 this process runs on."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
import os

import rclpy

from sara_ros.evaluation.session import RosFacts


def ros_facts(domain_id: int) -> RosFacts:
    """Return distribution, middleware and versions; empty where an installation states none."""
    return RosFacts(
        distro=os.environ.get('ROS_DISTRO', ''),
        rmw=rclpy.get_rmw_implementation_identifier(),
        domain_id=domain_id,
        rclpy=_version('ros-rclpy') or _version('rclpy'),
    )


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return ''
