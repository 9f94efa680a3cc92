"""Conversions between nanoseconds and ROS time messages."""

from __future__ import annotations

from builtin_interfaces.msg import Duration, Time

from sara_ros.decoding.stamps import NS, to_ns


def to_time(stamp_ns: int) -> Time:
    """Return nanoseconds as a stamp."""
    return Time(sec=stamp_ns // NS, nanosec=stamp_ns % NS)


def to_duration(duration_ns: int) -> Duration:
    """Return nanoseconds as a duration; ``nanosec`` stays positive for negative ones."""
    return Duration(sec=duration_ns // NS, nanosec=duration_ns % NS)


__all__ = ['NS', 'to_duration', 'to_ns', 'to_time']
