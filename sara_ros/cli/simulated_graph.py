"""Simulator, policy and model manager, each in a process, for as long as a command needs them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sara_ros.cli.children import Children
from sara_ros.core.ros_domains import claim_domain
from sara_ros.nodes.graph_client import GraphClient


@dataclass(frozen=True, slots=True)
class SimulatedGraph:
    """A graph that runs, in a ROS domain of its own."""

    domain_id: int
    children: Children
    client: GraphClient


@contextmanager
def simulated_graph(
    logs: Path,
    *,
    policy: Mapping[str, Any] | None = None,
    manager: Mapping[str, Any] | None = None,
) -> Iterator[SimulatedGraph]:
    """
    Start the three nodes, and stop them whatever happens; the policy node has no model yet.

    :param logs: folder of their logs.
    :param policy: parameters of the policy node.
    :param manager: parameters of the model manager.
    :raises ChildError: while something is awaited, when a process has ended.
    """
    with claim_domain() as domain_id:
        environment = {
            'ROS_DOMAIN_ID': str(domain_id), 'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST',
        }  # fmt: skip
        with Children(logs, environment) as children:
            children.start('policy', {'autostart': False, **(policy or {})})
            children.start('simulator')
            children.start('model_manager', manager)
            with GraphClient(domain_id=domain_id, watch=children.check) as client:
                client.wait_for_policy()
                yield SimulatedGraph(domain_id, children, client)
