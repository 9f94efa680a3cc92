"""Create the virtual environment and install the pinned requirements into it."""

from __future__ import annotations

from pathlib import Path
import sys
import venv

from environment.console import run, step
from environment.paths import (
    LOGS,
    PYTHON,
    REQUIREMENTS,
    ROOT,
    SITE_PACKAGES,
    STAMPS,
    VENV,
)
from environment.ros_wheels import rewrite_exports
from environment.stamps import Stamp, fingerprint

PIP = 'pip==26.3'
_LISTS = ('ros.txt', 'runtime.txt', 'dev.txt')
_COMMAND = """\
#!/bin/sh
'''exec' "{python}" "$0" "$@"
' '''
import sys

from sara_ros.cli.main import main

# Training starts processes that import this file again.
if __name__ == '__main__':
    sys.exit(main())
"""


def create() -> None:
    """Create `.venv` unless it is there and fits this interpreter and place."""
    stamp = Stamp(STAMPS / 'venv')
    value = fingerprint([], str(ROOT), sys.version, sys.base_prefix, PIP)
    if stamp.matches(value) and PYTHON.exists():
        return
    with step(f'creating .venv with Python {sys.version.split()[0]}'):
        venv.create(VENV, clear=True, with_pip=True, symlinks=True)
        run([PYTHON, '-m', 'pip', 'install', PIP], 'pip')
    stamp.write(value)


def install() -> None:
    """Install the requirements at the versions of constraints.txt."""
    stamp = Stamp(STAMPS / 'requirements')
    value = fingerprint([REQUIREMENTS])
    if stamp.matches(value):
        return
    stamp.clear()
    with step('installing requirements'):
        show = sys.stdout.isatty()
        LOGS.mkdir(parents=True, exist_ok=True)
        run(_pip_command(bar=show), 'requirements', show=show)
        run([PYTHON, '-c', _INCLUDES], 'includes')
        exports = VENV.glob('share/*/cmake/*Export.cmake')
        rewrite_exports(exports, *(LOGS / 'includes.log').read_text().splitlines()[-2:])
    stamp.write(value)


_INCLUDES = (
    'import sysconfig, numpy; print(sysconfig.get_paths()["include"]); print(numpy.get_include())'
)


def _pip_command(*, bar: bool) -> list[str]:
    lists = [word for name in _LISTS for word in ('-r', str(REQUIREMENTS / name))]
    return [
        str(PYTHON),
        *('-m', 'pip', 'install', '--disable-pip-version-check'),
        *('--progress-bar', 'on' if bar else 'off'),
        *('-c', str(REQUIREMENTS / 'constraints.txt')),
        *lists,
    ]


def link_sources() -> None:
    """Let the environment import the source tree and offer `sara-ros`."""
    link(SITE_PACKAGES / '_sara_ros_start.py', Path(__file__).with_name('start_hook.py'))
    # The underscore puts it before the wheels' own ros_wheels_bootstrapper.pth.
    (SITE_PACKAGES / '_sara_ros.pth').write_text('import _sara_ros_start\n')
    command = VENV / 'bin' / 'sara-ros'
    command.write_text(_COMMAND.format(python=PYTHON))
    command.chmod(0o755)


def link(place: Path, target: Path) -> None:
    """Make `place` a symbolic link to `target`."""
    if place.is_symlink():
        place.unlink()
    place.symlink_to(target)
