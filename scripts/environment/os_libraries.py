"""Find shared libraries of the operating system and install those that are missing."""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import shutil
import sys

from environment.console import clean_environment, run, say
from environment.errors import BootstrapError
from environment.paths import ROOT
from environment.prerequisites import install_command, missing_parts

_SHARED_MEMORY = '/dev/shm'
# Five processes with the segment of config/fastdds.xml.
_NEEDED_MIB = 5 * 34

# Library to load -> Debian package; `sara-ros doctor` reads the same file.
LIBRARIES = {
    library: entry['package']
    for library, entry in json.loads((ROOT / 'config' / 'os_libraries.json').read_text()).items()
}


def missing_packages() -> list[str]:
    """Return the Debian packages this machine still needs."""
    libraries = [package for library, package in LIBRARIES.items() if not _loads(library)]
    return [*missing_parts(), *libraries]


def shared_memory_warning() -> str | None:
    """Return a warning when camera images will not fit between processes."""
    free_mib = shutil.disk_usage(_SHARED_MEMORY).free // 2**20
    if free_mib >= _NEEDED_MIB:
        return None
    return (
        f'{_SHARED_MEMORY} has {free_mib} MiB free, {_NEEDED_MIB} are needed: images between '
        f'processes may be lost. In a container, start it with --shm-size=1g'
    )


def provide(packages: list[str]) -> None:
    """
    Install Debian packages when that is allowed.

    :raises BootstrapError: with the command to type when it is not, or when it did not help
    """
    command = install_command(packages)
    if os.geteuid() != 0 or not shutil.which('apt-get'):
        raise BootstrapError(f'Missing from the operating system. Run:\n  {command}')
    env = clean_environment(DEBIAN_FRONTEND='noninteractive')
    say(f'   {" ".join(packages)}')
    run(['apt-get', 'update'], 'apt-update', env=env)
    run(
        ['apt-get', 'install', '--yes', '--no-install-recommends', *packages],
        'apt-install',
        env=env,
    )
    importlib.invalidate_caches()
    remaining = missing_packages()
    if remaining:
        raise BootstrapError(
            f'Still not usable by {sys.executable}: what {" ".join(remaining)} holds. '
            'Try another Python: make env PYTHON=...'
        )


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True
