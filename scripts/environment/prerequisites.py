"""Check what has to be on the machine before anything can be installed."""

from __future__ import annotations

import importlib.util
from pathlib import Path
import platform
import shutil
import sys
import sysconfig

from environment.errors import BootstrapError

_COMPILERS = ('c++', 'g++', 'clang++')
_NEWEST = (3, 14)


def check() -> None:
    """
    Check interpreter, C++ compiler, make and CMake.

    :raises BootstrapError: naming everything that is missing and how to get it
    """
    missing = [*_interpreter(), *_tools()]
    if missing:
        raise BootstrapError('This machine lacks:\n' + '\n'.join(f'  - {m}' for m in missing))


def missing_parts() -> list[str]:
    """Return the Debian packages with the parts of this interpreter that are missing."""
    name = 'python{}.{}'.format(*sys.version_info[:2])
    packages = []
    if not all(map(importlib.util.find_spec, ('venv', 'ensurepip'))):
        packages.append(f'{name}-venv')
    if not Path(sysconfig.get_paths()['include'], 'Python.h').exists():
        packages.append(f'{name}-dev')
    return packages


def _interpreter() -> list[str]:
    if platform.python_implementation() != 'CPython':
        return [f'CPython: {sys.executable} is {platform.python_implementation()}']
    if sys.version_info[:2] > _NEWEST:
        return ['Python 3.10 to 3.14 (the ROS wheels exist for no other): make env PYTHON=...']
    if platform.machine() != 'x86_64' or sys.platform != 'linux':
        found = f'{sys.platform} on {platform.machine()}'
        other_way = 'Build with colcon in a ROS 2 Jazzy installation, see CONTRIBUTING.md'
        return [f'Linux on x86-64, this is {found}: no ROS wheels exist for it. {other_way}']
    return []


def _tools() -> list[str]:
    missing = []
    if not any(map(shutil.which, _COMPILERS)):
        missing.append(f'a C++ compiler: {install_command(["g++"])}')
    for tool in ('cmake', 'make'):
        if not shutil.which(tool):
            missing.append(f'{tool}: {install_command([tool])}')
    return missing


def install_command(packages: list[str]) -> str:
    """Return the shell command that installs Debian packages."""
    return f'sudo apt-get install --yes {" ".join(packages)}'
