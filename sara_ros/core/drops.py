"""Counts what did not become a command, and why."""

from __future__ import annotations

from collections import Counter
from threading import Lock


class DropCounter:
    """Thread-safe counts by reason; nothing is discarded or limited without passing here."""

    def __init__(self) -> None:
        """Start with no drops."""
        self._counts: Counter[str] = Counter()
        self._lock = Lock()

    def add(self, reason: str, count: int = 1) -> None:
        """Count drops of one reason."""
        with self._lock:
            self._counts[reason] += count

    def counts(self) -> dict[str, int]:
        """Return the counts so far, by reason in alphabetical order."""
        with self._lock:
            return dict(sorted(self._counts.items()))
