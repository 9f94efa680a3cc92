"""Stamps of messages in nanoseconds."""

from __future__ import annotations

from typing import Any, Final

NS: Final = 1_000_000_000


def to_ns(stamp: Any) -> int:
    """Return a Time or a Duration in nanoseconds."""
    return int(stamp.sec) * NS + int(stamp.nanosec)
