"""Conversions between nanoseconds and ROS time messages."""

from __future__ import annotations

from typing import Final

from builtin_interfaces.msg import Duration, Time

NS: Final = 1_000_000_000


def to_time(stamp_ns: int) -> Time:
    """Return nanoseconds as a stamp."""
    return Time(sec=stamp_ns // NS, nanosec=stamp_ns % NS)


def to_duration(duration_ns: int) -> Duration:
    """Return nanoseconds as a duration; ``nanosec`` stays positive for negative ones."""
    return Duration(sec=duration_ns // NS, nanosec=duration_ns % NS)


def to_ns(message: Time | Duration) -> int:
    """Return a stamp or a duration in nanoseconds."""
    return int(message.sec) * NS + int(message.nanosec)
