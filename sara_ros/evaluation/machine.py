"""The machine a measurement was made on, without anything that names its owner."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
import os
from pathlib import Path
import platform
import sys
from typing import Any, Final

LIBRARIES: Final = {
    'numpy': ('numpy',),
    'torch': ('torch',),
    'mujoco': ('mujoco',),
    'open3d': ('open3d', 'open3d-cpu'),
}
"""Libraries that decide how fast a session runs, and the distributions that provide them."""


def describe_machine() -> dict[str, Any]:
    """
    Return processor, memory (GiB), system and library versions.

    Neither host nor user name nor any path is included. The GPU is named only when torch is
    already imported, because importing it takes seconds.
    """
    return {
        'cpu': _cpu_model(),
        'logical_cores': os.cpu_count(),
        'memory_gib': round(os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30, 1),
        'os': _os_name(),
        'kernel': f'{platform.system()} {platform.release()}',
        'python': platform.python_version(),
        **{name: _version(distributions) for name, distributions in LIBRARIES.items()},
        'gpu': _gpu_name(),
    }


def _cpu_model() -> str:
    try:
        for line in Path('/proc/cpuinfo').read_text().splitlines():
            key, _, value = line.partition(':')
            if key.strip() == 'model name':
                return value.strip()
    except OSError:
        pass
    return platform.machine()


def _os_name() -> str:
    try:
        return platform.freedesktop_os_release()['PRETTY_NAME']
    except OSError:
        return platform.system()


def _version(distributions: tuple[str, ...]) -> str | None:
    for name in distributions:
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    return None


def _gpu_name() -> str | None:
    torch = sys.modules.get('torch')
    if torch is None or not torch.cuda.is_available():
        return None
    return str(torch.cuda.get_device_name(0))
