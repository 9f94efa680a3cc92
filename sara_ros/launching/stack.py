"""What a launch file starts, as a launch description."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from sara_ros.core.resources import package_folder
from sara_ros.launching.arguments import USUAL, Argument
from sara_ros.launching.programs import Program

PROFILES: Final = 'FASTRTPS_DEFAULT_PROFILES_FILE'


@dataclass(frozen=True, slots=True)
class Stack:
    """
    Programs that are launched together.

    :param defaults: of arguments, where another one than theirs fits.
    """

    programs: tuple[Program, ...]
    defaults: Mapping[str, str] = field(default_factory=dict)

    @property
    def arguments(self) -> tuple[Argument, ...]:
        """Every argument: those of the programs, then the usual ones."""
        return (*(each for program in self.programs for each in program.arguments), *USUAL)

    def default(self, argument: Argument) -> str | None:
        """Return the default of an argument here."""
        return self.defaults.get(argument.name, argument.default)

    def description(self) -> Any:
        """
        Return the launch description.

        Camera frames do not fit Fast DDS's own shared-memory segment, so the nodes get the
        package's profile, unless the environment names another.
        """
        from launch.actions import GroupAction, OpaqueFunction, SetEnvironmentVariable
        from launch.substitutions import EnvironmentVariable

        from launch import LaunchDescription

        profile = str(package_folder('config') / 'fastdds.xml')
        return LaunchDescription([
            *(self._declared(each) for each in self.arguments),
            GroupAction([
                SetEnvironmentVariable(
                    PROFILES, EnvironmentVariable(PROFILES, default_value=profile)
                ),
                OpaqueFunction(function=self._nodes),
            ]),
        ])  # fmt: skip

    def _declared(self, argument: Argument) -> Any:
        from launch.actions import DeclareLaunchArgument

        return DeclareLaunchArgument(
            argument.name,
            default_value=self.default(argument),
            description=argument.description,
        )

    def _nodes(self, context: Any) -> list[Any]:
        texts = context.launch_configurations
        values = {each.name: each.value(texts[each.name]) for each in self.arguments}
        return [program.node(values) for program in self.programs]
