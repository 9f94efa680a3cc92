"""Asks a running policy node what it reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from rcl_interfaces.srv import GetParameters
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import parameter_value_to_python

ANSWER_SEC: Final = 2.0
GENERAL: Final = (
    'model', 'use_sim_time', 'dry_run', 'static_transforms',
    'workspace', 'ee_pose_topic', 'ee_pose_timeout_sec',
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ServingPolicy:
    """
    Parameters of a running policy node.

    :param topics: topics of its observations by their names, as far as it states them.
    """

    model: str = ''
    use_sim_time: bool = False
    dry_run: bool = False
    static_transforms: Sequence[str] = ()
    workspace: str = ''
    ee_pose_topic: str = 'ee_pose'
    ee_pose_timeout_sec: float = 0.2
    topics: dict[str, str] = field(default_factory=dict)


def ask_policy(node: Node, name: str, observations: Sequence[str]) -> ServingPolicy:
    """Return the parameters of the policy node ``name``; defaults where it does not answer."""
    client = node.create_client(GetParameters, f'{name}/get_parameters')
    executor = SingleThreadedExecutor(context=node.context)
    executor.add_node(node)
    try:
        if not client.wait_for_service(ANSWER_SEC):
            return ServingPolicy()
        known: dict[str, Any] = {}
        for names in (GENERAL, [f'topics.{each}' for each in observations]):
            known |= _answer(client, executor, names)
    finally:
        executor.remove_node(node)
        executor.shutdown()
        node.destroy_client(client)
    topics = {each: known.pop(f'topics.{each}', '') for each in observations}
    return ServingPolicy(**known, topics={each: name for each, name in topics.items() if name})


def _answer(client: Any, executor: Any, names: Sequence[str]) -> dict[str, Any]:
    """Return the parameters that are set; none where one of ``names`` is not declared."""
    future = client.call_async(GetParameters.Request(names=list(names)))
    executor.spin_until_future_complete(future, ANSWER_SEC)
    response = future.result() if future.done() else None
    if response is None:
        return {}
    found = zip(names, map(parameter_value_to_python, response.values), strict=False)
    return {name: value for name, value in found if value is not None}
