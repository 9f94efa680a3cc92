"""Child processes of a command: started together, watched, and never left behind."""

from __future__ import annotations

from collections.abc import Mapping
import os
from pathlib import Path
import signal
import subprocess
import sys
import time
from typing import Any, Final

import yaml

from sara_ros.core import SaraError
from sara_ros.core.resources import package_folder
from sara_ros.nodes.start import end_with_parent

STOP_TIMEOUT_SEC: Final = 8.0


class ChildError(SaraError):
    """A child process ended although it was still needed."""


class Children:
    """
    Nodes of this package in processes of their own, each with a log file.

    :param log_dir: folder of the logs, one per process.
    :param environment: variables added to this process's own.
    """

    def __init__(self, log_dir: Path, environment: Mapping[str, str]) -> None:
        """Prepare; :meth:`start` starts a process."""
        self._log_dir = log_dir
        self._environment = {**os.environ, **environment}
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._pids: dict[str, int] = {}
        log_dir.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> Children:
        """Return the empty group."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop whatever is still running."""
        self.stop()

    @property
    def pids(self) -> dict[str, int]:
        """Process identifiers by name, those that ended included."""
        return dict(self._pids)

    def start(
        self,
        name: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        module: str = '',
    ) -> None:
        """
        Start the node of ``sara_ros.nodes.<module>`` as node ``name``.

        Parameters come from ``config/<module>.yaml`` and then from ``parameters``, which travel
        in a file beside the log.
        """
        module = module or name
        own_file = self._log_dir / f'{name}.yaml'
        own_file.write_text(yaml.safe_dump({'/**': {'ros__parameters': dict(parameters or {})}}))
        command = [sys.executable, '-m', f'sara_ros.nodes.{module}', '--ros-args']
        command += ['-r', f'__node:={name}']
        for path in (package_folder('config') / f'{module}.yaml', own_file):
            command += ['--params-file', str(path)]
        with (self._log_dir / f'{name}.log').open('wb') as log:
            self._processes[name] = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._environment,
                # Ctrl-C reaches only this process, which then stops the others in order.
                start_new_session=True,
                preexec_fn=end_with_parent,
            )
        self._pids[name] = self._processes[name].pid

    def check(self) -> None:
        """
        Make sure that every process is alive.

        :raises ChildError: naming the one that is not, how it ended, and its last words.
        """
        for name, process in self._processes.items():
            code = process.poll()
            if code is not None:
                raise ChildError(
                    f'{name} (pid {process.pid}) {_ended(code)}; its log ends with:\n'
                    f'{self._last_lines(name)}'
                )

    def end(self, name: str) -> None:
        """Ask one process to end, and kill it if it does not."""
        _stop([self._processes.pop(name)])

    def stop(self) -> None:
        """Ask every process to end, newest first, and kill those that do not."""
        _stop(list(reversed(self._processes.values())))

    def _last_lines(self, name: str, count: int = 8) -> str:
        lines = (self._log_dir / f'{name}.log').read_text(errors='replace').splitlines()
        return '\n'.join(f'  {line}' for line in lines[-count:]) or '  (empty)'


def _stop(processes: list[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
    deadline = time.monotonic() + STOP_TIMEOUT_SEC
    for process in processes:
        try:
            process.wait(max(deadline - time.monotonic(), 0.1))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _ended(code: int) -> str:
    if code < 0:
        return f'was ended by {signal.Signals(-code).name}'
    return f'ended with exit code {code}'
