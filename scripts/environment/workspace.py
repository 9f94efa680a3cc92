"""Build both packages with colcon and make the result importable."""

from __future__ import annotations

import os
from pathlib import Path
import shutil

from environment.console import clean_environment, run, step
from environment.paths import (
    INSTALL,
    PYTHON,
    PYTHON_LIB,
    REQUIREMENTS,
    ROOT,
    SITE_PACKAGES,
    STAMPS,
    VENV,
)
from environment.stamps import Stamp, fingerprint
from environment.virtualenv import link

_SOURCES = {
    'sara_ros_msgs': ['sara_ros_msgs'],
    'sara_ros': [
        *('setup.py', 'setup.cfg', 'package.xml', 'resource'),
        *('sara_ros', 'launch', 'config', 'models'),
    ],
}


def build() -> None:
    """Build the packages whose sources changed."""
    for package, sources in _SOURCES.items():
        stamp = Stamp(STAMPS / package)
        value = fingerprint([REQUIREMENTS / 'ros.txt', *(ROOT / name for name in sources)])
        if stamp.matches(value) and (INSTALL / package).is_dir():
            continue
        if not stamp.exists() or package == 'sara_ros' or _has_withdrawn_interfaces():
            _remove(package)
        stamp.clear()
        with step(f'building {package} with colcon'):
            _colcon(package)
        if package == 'sara_ros_msgs':
            _link_messages()
        stamp.write(value)


def _remove(package: str) -> None:
    for folder in ('build', 'install'):
        shutil.rmtree(ROOT / folder / package, ignore_errors=True)


def _has_withdrawn_interfaces() -> bool:
    """Say whether an interface is still installed that the sources have no longer."""
    installed = INSTALL / 'sara_ros_msgs' / 'share' / 'sara_ros_msgs'
    files = [p for kind in ('msg', 'srv', 'action') for p in installed.glob(f'{kind}/*.{kind}')]
    return any(not (ROOT / 'sara_ros_msgs' / p.relative_to(installed)).exists() for p in files)


def _colcon(package: str) -> None:
    env = clean_environment(
        AMENT_PREFIX_PATH=str(VENV),
        CMAKE_PREFIX_PATH=str(VENV),
        PATH=f'{VENV / "bin"}{os.pathsep}{os.environ["PATH"]}',
    )
    run(
        [
            *(PYTHON, '-m', 'colcon', 'build'),
            *('--base-paths', '.', 'sara_ros_msgs', '--packages-select', package),
            *('--event-handlers', 'console_direct+'),
            *('--cmake-args', f'-DPython3_EXECUTABLE={PYTHON}', '-DBUILD_TESTING=OFF'),
        ],
        f'colcon-{package}',
        env=env,
    )


def _link_messages() -> None:
    """
    Link the compiled interfaces to where the ROS wheels keep theirs.

    The wheels' own start-up hook then finds the libraries, and no shell has to be prepared.
    """
    prefix = INSTALL / 'sara_ros_msgs' / 'lib'
    for old in (VENV / 'lib').glob('libsara_ros_msgs__*'):
        old.unlink()
    for library in prefix.glob('libsara_ros_msgs__*'):
        link(VENV / 'lib' / library.name, library)
    link(SITE_PACKAGES / 'sara_ros_msgs', Path(prefix, PYTHON_LIB, 'site-packages/sara_ros_msgs'))
