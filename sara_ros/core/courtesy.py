"""Background work that leaves the interpreter to whoever computes the next command."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
import os
import sys
from threading import Event, Thread, get_native_id
import time
from typing import Any, Final, TypeVar

PATIENCE_SEC: Final = 10.0
BACKGROUND_NICENESS: Final = 10
T = TypeVar('T')


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


def at_low_priority(work: Callable[[], T]) -> T:
    """
    Return what ``work`` returns, which a thread of lower priority runs meanwhile.

    A thread inherits the priority of the one that starts it and cannot raise it again. Whoever
    is to start one that must keep up leaves slow work to this function and never steps back.
    """

    def run(outcome: Future[T]) -> None:
        step_back()
        try:
            outcome.set_result(work())
        except BaseException as err:  # raised where it is waited for
            outcome.set_exception(err)
        finally:
            del outcome  # the error's frames would hold it, and it the error

    awaited: Future[T] = Future()
    Thread(target=run, args=(awaited,), name='background', daemon=True).start()
    try:
        return awaited.result()
    finally:
        del awaited
