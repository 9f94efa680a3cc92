"""Parameters with descriptions, ranges and errors that name them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.node import Node
from rclpy.parameter import Parameter

from sara_ros.core import ParameterError


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


def value(node: Node, name: str) -> Any:
    """Return the value of a declared parameter."""
    return node.get_parameter(name).value
