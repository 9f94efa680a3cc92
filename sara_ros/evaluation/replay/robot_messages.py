"""Messages without ROS, for recordings that are not bags: the fields that decoders read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sara_ros.decoding.stamps import NS


@dataclass(frozen=True, slots=True)
class Stamp:
    """A point in time."""

    sec: int
    nanosec: int

    @classmethod
    def of(cls, stamp_ns: int) -> Stamp:
        """Split nanoseconds."""
        return cls(stamp_ns // NS, stamp_ns % NS)


@dataclass(frozen=True, slots=True)
class Header:
    """When, and in which frame."""

    stamp: Stamp
    frame_id: str = ''


@dataclass(frozen=True, slots=True)
class Image:
    """An ``rgb8`` picture."""

    header: Header
    height: int
    width: int
    data: NDArray[np.uint8]
    encoding: str = 'rgb8'
    is_bigendian: int = 0

    @property
    def step(self) -> int:
        """Bytes of a row."""
        return 3 * self.width

    @classmethod
    def of(cls, rgb: NDArray[np.uint8], stamp_ns: int) -> Image:
        """Wrap ``(H, W, 3)`` pixels."""
        pixels = np.ascontiguousarray(rgb).reshape(-1)
        return cls(Header(Stamp.of(stamp_ns)), rgb.shape[0], rgb.shape[1], pixels)


@dataclass(frozen=True, slots=True)
class JointState:
    """Names and positions."""

    header: Header
    name: list[str]
    position: NDArray[Any]
    velocity: tuple[float, ...] = field(default=())
    effort: tuple[float, ...] = field(default=())

    @classmethod
    def of(cls, names: tuple[str, ...], positions: NDArray[Any], stamp_ns: int) -> JointState:
        """Wrap positions of ``names``."""
        return cls(Header(Stamp.of(stamp_ns)), list(names), positions)
