"""Background work that leaves the interpreter to whoever computes the next command."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
import os
import sys
from threading import Event, get_native_id
import time
from typing import Any, Final

PATIENCE_SEC: Final = 10.0
BACKGROUND_NICENESS: Final = 10


class Gate:
    """
    Closed while an inference runs; background work waits at it.

    Threads share one interpreter: each of the hundreds of small operations of an inference has
    to win it back, and a thread full of Python code makes every one of them wait.
    """

    def __init__(self) -> None:
        """Start open."""
        self._open = Event()
        self._open.set()

    def __enter__(self) -> None:
        """Close the gate for an inference."""
        self._open.clear()

    def __exit__(self, *_: object) -> None:
        """Open it again."""
        self._open.set()

    def wait(self, timeout_sec: float) -> None:
        """Wait until it is open, at most ``timeout_sec``."""
        self._open.wait(timeout_sec)

    @contextmanager
    def yielding(self, patience_sec: float = PATIENCE_SEC) -> Iterator[None]:
        """
        Have the calling thread wait at the gate before each function call in the block.

        :param patience_sec: time after which it goes on regardless, so that an inference that
            never ends cannot hold it up for ever.
        """
        opened, left = self._open, [patience_sec]

        def pause(*_: Any) -> None:
            if not opened.is_set() and left[0] > 0:
                started = time.monotonic()
                opened.wait(left[0])
                left[0] -= time.monotonic() - started

        sys.setprofile(pause)
        try:
            yield
        finally:
            sys.setprofile(None)


def step_back() -> None:
    """Give the calling thread a lower priority than the others of its process."""
    with suppress(OSError, AttributeError):  # of use where the system keeps priorities by thread
        os.setpriority(os.PRIO_PROCESS, get_native_id(), BACKGROUND_NICENESS)
