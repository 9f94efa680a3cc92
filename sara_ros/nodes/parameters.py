"""Parameters with descriptions, ranges and errors that name them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Final

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.node import Node
from rclpy.parameter import Parameter

from sara_ros.core import ParameterError

_LATER: Final = ('topics', 'qos_overrides')
"""Groups that depend on the model, and on the publishers of a node."""


@dataclass(frozen=True, slots=True)
class ParameterSpec:
    """
    One parameter of a node.

    :param low: smallest value of a number; ranges are checked by rclpy when it is set.
    :param read_only: fixed when the node is created.
    """

    name: str
    default: Any
    description: str
    low: float | None = None
    high: float | None = None
    read_only: bool = False

    def descriptor(self) -> ParameterDescriptor:
        """Return the ROS form."""
        descriptor = ParameterDescriptor(
            name=self.name, description=self.description, read_only=self.read_only
        )
        if self.low is None or self.high is None:
            return descriptor
        if isinstance(self.default, int):
            descriptor.integer_range = [
                IntegerRange(from_value=int(self.low), to_value=int(self.high), step=0)
            ]
        else:
            descriptor.floating_point_range = [
                FloatingPointRange(from_value=float(self.low), to_value=float(self.high), step=0.0)
            ]
        return descriptor


def declare(node: Node, specs: Sequence[ParameterSpec]) -> None:
    """
    Declare ``specs`` on ``node`` where they are not declared yet.

    What was given at start beside them is warned of, which ROS ignores: a limit with a misspelt
    name would not be one.

    :raises ParameterError: when a value given at start has the wrong type or is out of range.
    """
    for spec in specs:
        if node.has_parameter(spec.name):
            continue
        try:
            node.declare_parameter(spec.name, spec.default, spec.descriptor())
        except InvalidParameterTypeException as err:
            raise ParameterError(
                f"parameter '{spec.name}' of node {node.get_name()}: {err}; "
                f'expected {type(spec.default).__name__}, as in {spec.default!r}'
            ) from err
        except InvalidParameterValueException as err:
            raise ParameterError(
                f"parameter '{spec.name}' of node {node.get_name()}: {err}; {spec.description}"
            ) from err
        # An empty list has no type, and arrives as a parameter without a value.
        if Parameter.Type(node.get_parameter_type(spec.name)) is Parameter.Type.NOT_SET:
            node.set_parameters([Parameter(spec.name, value=spec.default)])
    _warn_of_strangers(node, [spec.name for spec in specs])


def value(node: Node, name: str) -> Any:
    """Return the value of a declared parameter."""
    return node.get_parameter(name).value


def _warn_of_strangers(node: Node, names: Sequence[str]) -> None:
    """
    Warn of parameters that were given and that nobody declared.

    Those in the groups of ``_LATER`` are judged when some of their group are declared.
    """
    groups = {_group(name) for name in names}
    strangers = []
    # rclpy tells nowhere else what was given.
    for name in getattr(node, '_parameter_overrides', {}):
        group = _group(name)
        judged = group in groups or ('' in groups and group.partition('.')[0] not in _LATER)
        if judged and not node.has_parameter(name):
            near = get_close_matches(name, names, 1)
            strangers.append(f"'{name}'" + (f" (did you mean '{near[0]}'?)" if near else ''))
    if strangers:
        node.get_logger().warning(
            f'node {node.get_name()} ignores parameters that it does not have: '
            f'{", ".join(strangers)}'
        )


def _group(name: str) -> str:
    return name.rpartition('.')[0]
