"""Show the steps as they run, and run their commands."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
import os
from pathlib import Path
import shlex
import signal
import subprocess
import sys
import time

from environment.errors import BootstrapError
from environment.paths import LOGS, ROOT

_POLL_SEC = 0.2
_GRACE_SEC = 10.0
_REPORT_EVERY_SEC = 20.0
_TAIL_LINES = 25
# A sourced ROS installation would be mixed into the build otherwise.
_FOREIGN = (
    'AMENT_PREFIX_PATH',
    'CMAKE_PREFIX_PATH',
    'COLCON_PREFIX_PATH',
    'LD_LIBRARY_PATH',
    'PYTHONHOME',
    'PYTHONPATH',
    'ROS_DISTRO',
    'VIRTUAL_ENV',
    '_ROS_WHEELS_BOOTSTRAP_COMPLETE',
)

_locks: list[int] = []


def hold(lock: int) -> None:
    """Let commands keep this open lock until they end, even when this process is killed."""
    _locks.append(lock)


def say(text: str) -> None:
    """Print one line at once."""
    print(text, flush=True)


@contextmanager
def step(title: str) -> Iterator[None]:
    """Announce a step and, when it ends well, how long it took."""
    begin = time.monotonic()
    say(f'-- {title} ...')
    yield
    say(f'-- {title}: done in {time.monotonic() - begin:.1f} s')


def clean_environment(**extra: str) -> dict[str, str]:
    """Return this process's environment without another ROS or Python in it."""
    kept = {name: value for name, value in os.environ.items() if name not in _FOREIGN}
    return {**kept, **extra}


def run(
    command: Sequence[str | Path],
    name: str,
    *,
    env: dict[str, str] | None = None,
    show: bool = False,
) -> None:
    """
    Run a command in the repository's root.

    Its output goes to a log file, or with `show` to the terminal.

    :raises BootstrapError: when it fails; the message holds the end of the log
    """
    LOGS.mkdir(parents=True, exist_ok=True)
    log = LOGS / f'{name}.log'
    words = [str(word) for word in command]
    with log.open('w') as sink:
        sink.write(shlex.join(words) + '\n')
        sink.flush()
        process = subprocess.Popen(
            words,
            cwd=ROOT,
            env=env or clean_environment(),
            stdin=subprocess.DEVNULL,
            stdout=None if show else sink,
            stderr=None if show else subprocess.STDOUT,
            start_new_session=True,
            pass_fds=_locks,
        )
        try:
            _watch(process, log, quiet=show)
        except BaseException:
            _end(process)
            raise
    if process.returncode:
        raise BootstrapError(_failure(words, process.returncode, log, show))


def _end(process: subprocess.Popen[bytes]) -> None:
    """Stop the process with all its children."""
    os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(_GRACE_SEC)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _watch(process: subprocess.Popen[bytes], log: Path, *, quiet: bool) -> None:
    """Wait for the process and say from time to time what it is at."""
    begin = reported = time.monotonic()
    every = 1.0 if sys.stdout.isatty() else _REPORT_EVERY_SEC
    while process.poll() is None:
        time.sleep(_POLL_SEC)
        now = time.monotonic()
        if not quiet and now - reported >= every:
            reported = now
            _report(now - begin, log)
    if sys.stdout.isatty() and not quiet:
        print('\r\033[K', end='', flush=True)


def _report(elapsed_sec: float, log: Path) -> None:
    line = f'   {elapsed_sec:4.0f} s  {_tail(log, 1).strip()}'[:99]
    if sys.stdout.isatty():
        print(f'\r\033[K{line}', end='', flush=True)
    else:
        say(line)


def _failure(words: Sequence[str], code: int, log: Path, show: bool) -> str:
    message = f'{shlex.join(words)}\nended with status {code}.'
    if show:
        return message
    return f'{_tail(log, _TAIL_LINES)}\n{message}\nThe whole log: {log}'


def _tail(log: Path, lines: int) -> str:
    return '\n'.join(log.read_text(errors='replace').splitlines()[-lines:])
