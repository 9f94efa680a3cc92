"""The order of the steps."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
import fcntl
import signal
import time

from environment import os_libraries, prerequisites, virtualenv, workspace
from environment.console import hold, say, step
from environment.errors import BootstrapError
from environment.paths import ROOT


def main() -> int:
    """Bring the environment up to date; return the exit status."""
    begin = time.monotonic()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        prerequisites.check()
        with _only_one():
            _steps()
    except BootstrapError as err:
        say(f'\nbootstrap: {err}')
        return 1
    except KeyboardInterrupt:
        say('\nbootstrap: interrupted; run it again to go on')
        return 130
    say(f'Environment ready in .venv ({time.monotonic() - begin:.1f} s)')
    return 0


def _steps() -> None:
    packages = os_libraries.missing_packages()
    if packages:
        with step('installing OS packages'):
            os_libraries.provide(packages)
    warning = os_libraries.shared_memory_warning()
    if warning:
        say(f'-- note: {warning}')
    virtualenv.create()
    virtualenv.install()
    virtualenv.link_sources()
    workspace.build()


@contextmanager
def _only_one() -> Iterator[None]:
    """Wait until no other bootstrap runs in this repository."""
    with (ROOT / 'scripts').joinpath('bootstrap.py').open() as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            say('-- waiting for another bootstrap of this folder ...')
            fcntl.flock(handle, fcntl.LOCK_EX)
        hold(handle.fileno())
        yield
