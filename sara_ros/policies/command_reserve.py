"""Room in each command period for a late answer during a change of model."""

from __future__ import annotations

from collections.abc import Callable
import time
from typing import Final

from sara_ros.core import ActionSpec
from sara_ros.core.swap import RESERVE_SHARE
from sara_ros.core.swap_report import Boundary

NS: Final = 1_000_000_000
TIMEOUT_SEC: Final = 5.0
POLL_SEC: Final = 0.005


class CommandReserve:
    """
    Has commands wait for an answer of the previous model after a failure of its successor.

    A chunk of more than one action bridges the gap itself, and needs no reserve.

    :param actions: what the commands are.
    """

    def __init__(self, boundary: Boundary, actions: ActionSpec) -> None:
        """Reserve nothing yet."""
        self._boundary = boundary
        self._wanted_ns = int(RESERVE_SHARE / actions.rate_hz * NS) if actions.horizon == 1 else 0
        self.duration_ns = 0

    def take(self) -> None:
        """Ask for the reserve."""
        if self._wanted_ns:
            self.duration_ns = self._wanted_ns
            self._boundary.reserve(self.duration_ns)

    def give_back(self) -> None:
        """Have commands leave as early as they can again."""
        self.duration_ns = 0
        self._boundary.reserve(0)

    def wait(self, given_up: Callable[[], bool]) -> None:
        """Wait until it is there, no run is in progress, or the change is ``given_up``."""
        deadline_sec = time.monotonic() + TIMEOUT_SEC
        while self._boundary.running() and not self._boundary.reserved():
            if given_up() or time.monotonic() > deadline_sec:
                return
            time.sleep(POLL_SEC)
