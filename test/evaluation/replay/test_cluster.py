"""Where a cluster is looked for; replays on one are in ``test/cli``, since they need Ray."""

import socket

import pytest

from sara_ros.core import ParameterError
from sara_ros.evaluation.replay.cluster import check_reachable


def test_an_address_where_nobody_listens_is_named_at_once():
    """Ray tried for two minutes, and said little."""
    with socket.create_server(('127.0.0.1', 0)) as server:
        port = server.getsockname()[1]
        check_reachable(f'127.0.0.1:{port}')
    with pytest.raises(ParameterError, match=f'--cluster 127.0.0.1:{port}: no Ray cluster can'):
        check_reachable(f'127.0.0.1:{port}')
    with pytest.raises(ParameterError, match=r'--cluster 127\.0\.0\.1:99999: no Ray'):
        check_reachable('127.0.0.1:99999')


@pytest.mark.parametrize('address', ['local', 'auto', 'ray://host:10001'])
def test_other_addresses_are_left_to_ray(address):
    check_reachable(address)
