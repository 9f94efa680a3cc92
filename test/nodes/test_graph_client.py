"""The operator's side: waiting ends when it has become pointless."""

import pytest

pytest.importorskip('rclpy')

from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.task import Future

from sara_ros.nodes import graph_client
from sara_ros.nodes.graph_client import GraphClient, GraphError
from sara_ros_msgs.srv import ResetScene


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


def test_an_answer_that_is_lost_is_asked_for_again(ros_domain, monkeypatch):
    """DDS drops an answer while the two ends are not matched; loading a model once hung on it."""
    monkeypatch.setattr(graph_client, 'ASK_AGAIN_SEC', 0.2)
    seeds = []

    async def answer(request, response):
        seeds.append(request.seed)
        if len(seeds) == 1:
            await Future()
        response.success = True
        return response

    with GraphClient(domain_id=ros_domain) as client:
        client.node.create_service(
            ResetScene, 'simulator/reset_scene', answer, callback_group=ReentrantCallbackGroup()
        )
        client.reset_scene(7, '')
    assert seeds == [7, 7]
