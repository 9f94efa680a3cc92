"""One world and one set of cameras for all tests of the simulation."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sara_ros.sim.cameras import CameraRig
from sara_ros.sim.world import TabletopWorld


@pytest.fixture(scope='session')
def world() -> TabletopWorld:
    """Return a world that each test resets."""
    return TabletopWorld()


@pytest.fixture(scope='session')
def rig(world: TabletopWorld) -> Iterator[CameraRig]:
    """Return the cameras of ``world``."""
    with CameraRig(world.model) as cameras:
        yield cameras
