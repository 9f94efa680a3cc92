"""The topics, services and actions of the nodes, as running nodes offer them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
import os
from tempfile import TemporaryDirectory
from typing import Any, Final, NamedTuple

from reference.interfaces import definitions, first_sentence
from reference.tables import code, table

MODEL: Final = 'rt2-tabletop'
"""Model whose inputs the policy node is shown with."""
EVERY_NODE: Final = ('/rosout', '/parameter_events')
EVERY_NODES_SERVICES: Final = ('rcl_interfaces', 'lifecycle_msgs', 'type_description_interfaces')
"""Packages of the services that ROS gives to every node, or to every lifecycle node."""
KINDS: Final = {
    'publishes': 'Publishes', 'subscribes': 'Subscribes to', 'services': 'Services',
    'actions': 'Actions',
}  # fmt: skip

ABOUT: Final[Mapping[str, str]] = {
    'policy ee_pose': 'pose of the end effector: an input of the model, and what the workspace is '
    'judged by',
    'policy image_raw': 'picture of the first camera, which drives the model',
    'policy joint_states': 'joint positions by name',
    'policy wrist/image_raw': 'picture of the second camera',
    'policy ~/instruction': 'starts a run without limits; the same text again changes nothing',
    'policy ~/stop': 'ends the run',
    'policy ~/twist_cmd': 'the command as a velocity, for MoveIt Servo',
    'model_manager /diagnostics': 'health at stated thresholds',
    'simulator /clock': 'time of this machine, which stamps carry as well',
    'simulator /diagnostics': 'real-time factor, expired commands, messages published',
    'simulator camera_info': 'calibration of the front camera',
    'simulator ee_pose': 'pose of the end effector',
    'simulator image_raw': 'front camera',
    'simulator joint_states': 'arm and finger',
    'simulator points': 'coloured cloud of the front camera, in its optical frame',
    'simulator wrist/camera_info': 'calibration of the wrist camera',
    'simulator wrist/image_raw': 'wrist camera',
    'simulator ~/success': 'whether the task of the latest reset is done',
}
"""What names are for whose types do not say it."""


class Endpoint(NamedTuple):
    """One topic, service or action of a node."""

    kind: str
    name: str
    type: str
    qos: str


def endpoints(node: str) -> str:
    """
    Return what a running node offers and uses, a table for each kind.

    :param node: ``policy``, ``model_manager`` or ``simulator``.
    """
    tables = []
    for kind, title in KINDS.items():
        rows = [each for each in found(node) if each.kind == kind]
        if rows:
            tables.append(f'**{title}**\n\n{_table(node, rows)}')
    return '\n\n'.join(tables)


def _table(node: str, rows: Sequence[Endpoint]) -> str:
    about = _about_types()
    cells = (
        (code(each.name), _linked(each.type), each.qos,
         ABOUT.get(f'{node} {each.name}') or about.get(each.type.split('/')[-1], ''))
        for each in rows
    )  # fmt: skip
    if all(each.qos for each in rows):
        return table(('Topic', 'Type', 'Quality of service', 'About'), cells)
    return table(('Name', 'Type', 'About'), ((name, kind, text) for name, kind, _, text in cells))


def _linked(kind: str) -> str:
    """Return a type as a link where it is one of ours."""
    package, name = kind.split('/')
    ours = package == 'sara_ros_msgs'
    return f'[{code(name)}](messages.md#{name.lower()})' if ours else code(kind)


def _about_types() -> dict[str, str]:
    """Return what each of our interfaces is for, as the rest of a row."""
    texts = {each.name: first_sentence(each.about) for each in _definitions()}
    return {name: text[:1].lower() + text[1:] for name, text in texts.items()}


@cache
def found(node: str) -> tuple[Endpoint, ...]:
    """Return the endpoints of a running node, by name."""
    with TemporaryDirectory() as empty, _running(node, empty) as running:
        everything = [*_topics(running), *_services(running), *_actions(running)]
    return tuple(sorted(set(everything), key=lambda each: each.name))


@contextmanager
def _running(name: str, empty: str) -> Iterator[Any]:
    """Start a node that finds no other; the manager gets an ``empty`` folder to watch."""
    os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'OFF'
    import rclpy
    from rclpy.parameter import Parameter

    from sara_ros.nodes.process import bring_up

    context = rclpy.Context()
    rclpy.init(args=['--ros-args', '--log-level', 'error'], context=context)
    given = {'policy': {'model': MODEL}, 'model_manager': {'models_dir': empty}}.get(name, {})
    overrides = [Parameter(key, value=value) for key, value in given.items()]
    node = _maker(name)(context=context, parameter_overrides=overrides)
    try:
        if name in ('policy', 'model_manager'):
            bring_up(node)
        yield node
    finally:
        node.close()
        node.destroy_node()
        context.try_shutdown()


def _maker(name: str) -> Callable[..., Any]:
    from sara_ros.nodes.model_manager import ModelManagerNode
    from sara_ros.nodes.policy import PolicyNode
    from sara_ros.nodes.simulator import SimulatorNode

    return {
        'policy': PolicyNode, 'model_manager': ModelManagerNode, 'simulator': SimulatorNode,
    }[name]  # fmt: skip


def _topics(node: Any) -> Iterator[Endpoint]:
    own = f'{node.get_fully_qualified_name()}/transition_event'
    for kind, each in (
        *(('publishes', each) for each in node.publishers),
        *(('subscribes', each) for each in node.subscriptions),
    ):
        topic = each.topic_name
        if topic not in (*EVERY_NODE, own):
            kind_of = each.msg_type
            yield Endpoint(kind, _short(topic, node), _type(kind_of), _qos(each.qos_profile))


def _services(node: Any) -> Iterator[Endpoint]:
    for each in node.services:
        if each.srv_type.__module__.split('.')[0] not in EVERY_NODES_SERVICES:
            yield Endpoint('services', _short(each.service_name, node), _type(each.srv_type), '')


def _actions(node: Any) -> Iterable[Endpoint]:
    from rclpy.action import get_action_server_names_and_types_by_node

    offered = get_action_server_names_and_types_by_node(
        node, node.get_name(), node.get_namespace()
    )
    for name, types in offered:
        yield Endpoint('actions', _short(name, node), types[0].replace('/action/', '/'), '')


def _definitions() -> Iterator[Any]:
    for kind in ('msg', 'srv', 'action'):
        yield from definitions(kind)


def _short(name: str, node: Any) -> str:
    """Return a name as the code writes it: relative, or with ``~`` for the node's own."""
    own = node.get_fully_qualified_name() + '/'
    if name.startswith(own):
        return '~/' + name.removeprefix(own)
    return name if name in ('/clock', '/diagnostics') else name.removeprefix('/')


def _type(kind: Any) -> str:
    return f'{kind.__module__.split(".")[0]}/{kind.__name__}'


def _qos(profile: Any) -> str:
    words = [profile.reliability.name.lower().replace('_', ' ')]
    if profile.durability.name == 'TRANSIENT_LOCAL':
        words.append('latched')
    return ', '.join(words)
