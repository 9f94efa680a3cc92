"""Tries things in another process, where neither a crash nor a hang does harm."""

from __future__ import annotations

from dataclasses import dataclass
import signal
import subprocess
import sys
from typing import Final

TIMEOUT_SEC: Final = 60.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt ended; ``text`` is the last line printed, or what went wrong."""

    worked: bool
    text: str


def attempt(code: str, *, timeout_sec: float = TIMEOUT_SEC) -> Outcome:
    """Run ``code`` in a Python process like this one."""
    try:
        ended = subprocess.run(
            [sys.executable, '-c', code],
            capture_output=True,
            text=True,
            errors='replace',
            timeout=timeout_sec,
        )
    except subprocess.TimeoutExpired:
        return Outcome(False, f'no end within {timeout_sec:g} s')
    except OSError as err:
        return Outcome(False, f'{sys.executable} cannot be started: {err}')
    if ended.returncode < 0:
        return Outcome(False, f'crashed with {_signal_name(-ended.returncode)}')
    printed = (ended.stderr if ended.returncode else ended.stdout).strip().splitlines()
    return Outcome(ended.returncode == 0, printed[-1] if printed else '')


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f'signal {number}'
