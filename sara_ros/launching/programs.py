"""The nodes of this package as launch files start them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sara_ros.core.resources import package_folder
from sara_ros.launching.arguments import LEVELS, Argument, path, switch, whole
from sara_ros.nodes.start import END_WITH_PARENT

RESPAWN_DELAY_SEC: Final = 2.0


@dataclass(frozen=True, slots=True)
class Program:
    """
    A node of this package in a process of its own.

    Its parameters are those of ``config/<executable>.yaml``, over them those of ``params_file``,
    and over these the arguments that are not empty.

    :param executable: also the name of the node.
    :param arguments: each replaces the parameter of its name.
    :param usual: names of the usual arguments that are parameters of the node as well.
    :param essential: when it ends, everything does; any other is started again.
    """

    executable: str
    arguments: tuple[Argument, ...] = ()
    usual: tuple[str, ...] = ('use_sim_time', 'autostart')
    essential: bool = False

    def node(self, values: Mapping[str, Any]) -> Any:
        """Return the launch action, given the values of all arguments."""
        from launch.actions import Shutdown
        from launch_ros.actions import Node

        names = (*self.usual, *(each.name for each in self.arguments))
        given = {name: values[name] for name in names if values[name] is not None}
        files = [str(package_folder('config') / f'{self.executable}.yaml'), values['params_file']]
        ending: dict[str, Any] = {'respawn': True, 'respawn_delay': RESPAWN_DELAY_SEC}
        if self.essential:
            ending = {'on_exit': Shutdown(reason=f'{self.executable} ended')}
        return Node(
            package='sara_ros',
            executable=self.executable,
            name=self.executable,
            namespace=values['namespace'] or '',
            parameters=[*filter(None, files), *([given] if given else [])],
            ros_arguments=['--log-level', values['log_level'] or LEVELS[1]],
            additional_env={END_WITH_PARENT: '1'},
            output='screen',
            **ending,
        )


POLICY: Final = Program('policy', (
    Argument('model', '', 'Folder below models/ to serve; empty: as the parameters say.'),
    Argument('attention_backend', '', "Attention backend; empty: as the parameters say, else the "
             "model's own."),
    Argument('device', '', 'Torch device, such as cpu or cuda:0; empty: as the parameters say.'),
    Argument('workspace', '', "Box of the end effector, 'x y z x y z' in m; empty: as the "
             'parameters say.'),
))  # fmt: skip
MODEL_MANAGER: Final = Program('model_manager')
SIMULATOR: Final = Program(
    'simulator',
    (Argument('seed', '', 'Layout of the scene at start; empty: as the parameters say.', whole),),
    usual=(),  # it publishes /clock, and would wait for itself
)
BAG_PLAYER: Final = Program('bag_player', (
    Argument('bag', None, 'rosbag2, ROS 1 bag or LeRobot folder.', path),
    Argument('episode', '', 'Episode of a LeRobot folder; empty for a bag.', whole),
    Argument('autoplay', 'true', 'Play once somebody listens; else call bag_player/play.',
             switch),
    Argument('instruction', '', 'What the policy is told when playing begins; empty: nothing.'),
), usual=('use_sim_time',), essential=True)  # fmt: skip
