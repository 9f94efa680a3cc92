"""The Gazebo files of ``config/gazebo``, as the MuJoCo scene has them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final
from xml.etree import ElementTree

from sara_ros.sim.gazebo_urdf import arm_urdf
from sara_ros.sim.gazebo_world import tabletop_sdf

_HEADER: Final = (
    '<?xml version="1.0"?>\n'
    '<!-- Written by scripts/gazebo_files.py from sara_ros/sim/scene.py and arm.xml. -->\n'
)

FILES: Final[Mapping[str, Callable[[], ElementTree.Element]]] = {
    'arm.urdf.xacro': arm_urdf,
    'tabletop.sdf': tabletop_sdf,
}


def gazebo_text(name: str) -> str:
    """Return what the file ``name`` of ``FILES`` should hold."""
    root = FILES[name]()
    ElementTree.indent(root)
    return f'{_HEADER}{ElementTree.tostring(root, encoding="unicode")}\n'
