"""The operator's side: waiting ends when it has become pointless."""

import pytest

pytest.importorskip('rclpy')

from sara_ros.nodes.graph_client import GraphClient, GraphError


class DeadChildError(Exception):
    """What a watch raises."""


def test_what_does_not_happen_is_named(ros_domain):
    with GraphClient(domain_id=ros_domain) as client:
        client.wait_until(lambda: True, 'nothing', 0.0)
        with pytest.raises(GraphError, match=r'the arm: nothing happened within 0\.1 s'):
            client.wait_until(lambda: False, 'the arm', 0.1)


def test_a_process_that_died_ends_the_wait(ros_domain):
    calls = []

    def watch():
        calls.append(1)
        if len(calls) > 2:
            raise DeadChildError

    with GraphClient(domain_id=ros_domain, watch=watch) as client, pytest.raises(DeadChildError):
        client.wait_until(lambda: False, 'the arm', 30.0)


def test_a_callback_that_fails_ends_the_wait(ros_domain):
    """What listens on the client's thread would otherwise fall silent."""
    with GraphClient(domain_id=ros_domain) as client:
        client.node.create_timer(0.01, lambda: 1 / 0)
        with pytest.raises(GraphError, match='listening to the graph failed') as caught:
            client.wait_until(lambda: False, 'the arm', 30.0)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
