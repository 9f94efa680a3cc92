"""Small pictures of what a policy saw, few enough for one page however long the recording."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from sara_ros.core import Observation, PolicySpec

MOST: Final = 160
WIDTH_PX: Final = 256
QUALITY: Final = 70
CLOUD_SPAN_M: Final = 1.5
"""Side of the square that a cloud is drawn in, around its median, seen from above."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A JPEG, and the stamp of the observation it belongs to."""

    stamp_ns: int
    jpeg: bytes


class FrameStrip:
    """
    Keeps every n-th frame, where n doubles whenever there are too many.

    :param most: frames to keep at most; 0 keeps none.
    """

    def __init__(self, most: int = MOST) -> None:
        """Start empty."""
        self.frames: list[Frame] = []
        self._most = most
        self._stride = 1
        self._seen = 0

    def offer(self, observation: Observation, spec: PolicySpec) -> None:
        """Take a frame if it is one of those to keep."""
        wanted = self._most > 0 and self._seen % self._stride == 0
        self._seen += 1
        if not wanted:
            return
        picture = _picture(observation, spec)
        if picture is None:
            self._most = 0
            return
        self.frames.append(Frame(observation.timing.stamp_ns, _jpeg(picture)))
        if len(self.frames) > self._most:
            self.frames = self.frames[::2]
            self._stride *= 2


def _picture(observation: Observation, spec: PolicySpec) -> NDArray[np.uint8] | None:
    for need in spec.observations:
        if need.kind == 'image':
            return observation[need.name]
    for need in spec.observations:
        if need.kind == 'points':
            return _from_above(observation[need.name])
    return None


def _from_above(points: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Draw where the points are, x to the top and y to the left, brighter the higher."""
    picture = np.full((WIDTH_PX, WIDTH_PX, 3), 24, np.uint8)
    middle = np.median(points[:, :3], axis=0)
    place = np.rint((0.5 - (points[:, :2] - middle[:2]) / CLOUD_SPAN_M) * (WIDTH_PX - 1))
    inside = ((place >= 0) & (place < WIDTH_PX)).all(axis=1)
    height = ((points[inside, 2] - middle[2]) / CLOUD_SPAN_M * 2 + 0.5).clip(0, 1)
    rows, columns = place[inside].astype(int).T
    order = np.argsort(height, kind='stable')
    grey = (80 + 175 * height[order]).astype(np.uint8)
    picture[rows[order], columns[order]] = grey[:, None]
    return picture


def _jpeg(rgb: NDArray[np.uint8]) -> bytes:
    height = max(1, round(rgb.shape[0] * WIDTH_PX / rgb.shape[1]))
    small = cv2.resize(rgb, (WIDTH_PX, height), interpolation=cv2.INTER_AREA)
    options = [cv2.IMWRITE_JPEG_QUALITY, QUALITY]
    data = cv2.imencode('.jpg', cv2.cvtColor(small, cv2.COLOR_RGB2BGR), options)[1]
    return bytes(data.tobytes())
