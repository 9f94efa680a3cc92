"""A small bag that several tests read."""

from evaluation.replay.bags import arm_messages, write_bag
import pytest


@pytest.fixture
def arm_bag(tmp_path):
    """Write twenty steps of an arm with a camera."""
    return write_bag(tmp_path / 'arm', arm_messages())
