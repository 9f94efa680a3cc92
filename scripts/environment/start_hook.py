"""
Prepare a Python process of `.venv` for ROS.

A `.pth` file in the environment imports this at every start of the interpreter, before the one of
the ROS wheels, so that nobody has to source anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
import os
from pathlib import Path
import sys
from types import ModuleType

_ROOT = Path(__file__).resolve().parents[2]
_VENV = _ROOT / '.venv'
_WHEELS_ARE_READY = '_ROS_WHEELS_BOOTSTRAP_COMPLETE'


class SourceTree:
    """
    Find `sara_ros` in this repository, and nothing else.

    With the repository on `sys.path`, folders such as `launch` would pass for packages.
    """

    @classmethod
    def find_spec(
        cls, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return where the package is; see `importlib.abc.MetaPathFinder`."""
        return PathFinder.find_spec(name, [str(_ROOT)]) if name == 'sara_ros' else None


def prepare() -> None:
    """Set the variables of ROS and Fast DDS that are not set yet."""
    prefixes = [_ROOT / 'install' / 'sara_ros', _ROOT / 'install' / 'sara_ros_msgs', _VENV]
    os.environ.setdefault('AMENT_PREFIX_PATH', os.pathsep.join(map(str, prefixes)))
    os.environ.setdefault('FASTRTPS_DEFAULT_PROFILES_FILE', str(_ROOT / 'config' / 'fastdds.xml'))
    os.environ.setdefault('ROS_DISTRO', 'jazzy')
    # A parent process of another environment says that the wheels' libraries are on the path,
    # but means its own.
    libraries = os.environ.get('LD_LIBRARY_PATH', '').split(os.pathsep)
    if os.path.join(sys.prefix, 'lib') not in libraries:
        os.environ.pop(_WHEELS_ARE_READY, None)


sys.meta_path.insert(0, SourceTree)
prepare()
