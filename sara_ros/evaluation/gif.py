"""Small animated pictures for a README."""

from __future__ import annotations

from collections.abc import Iterator
import io
from pathlib import Path
from typing import Final

import av
import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sara_ros.core.errors import ParameterError
from sara_ros.evaluation.files import write_bytes

STILL: Final = 8
"""Pixels that changed by less keep their colour, which hides the video's coding noise."""

MIN_WIDTH_PX: Final = 160
MIN_FPS: Final = 1.0
PALETTE_FRAMES: Final = 12
COLORS: Final = 256


def write_gif(
    video: Path,
    path: Path,
    *,
    width: int = 480,
    fps: float = 8.0,
    max_bytes: int = 3_000_000,
    speed: float = 1.0,
) -> tuple[int, float]:
    """
    Turn ``video`` into a GIF of at most ``max_bytes`` and return its width (px) and fps.

    Width and rate shrink together until it fits. ``speed`` plays it faster than it happened.

    :raises ParameterError: when the video has no frames, or does not fit at the smallest size.
    """
    while width >= MIN_WIDTH_PX and fps >= MIN_FPS:
        data = _encode(video, width, fps, speed)
        if len(data) <= max_bytes:
            write_bytes(path, data)
            return width, fps
        shrink = min(0.97 * (max_bytes / len(data)) ** (1 / 3), 0.9)
        width, fps = round(width * shrink), fps * shrink
    raise ParameterError(f'{video.name} does not fit into {max_bytes} bytes: cut or speed it up')


def _encode(video: Path, width: int, fps: float, speed: float) -> bytes:
    palette = _palette(video, width, fps, speed)
    frames = (
        Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.NONE)
        for frame in _without_noise(_frames(video, width, fps, speed))
    )
    first = next(frames)
    data = io.BytesIO()
    # GIF counts in hundredths of a second.
    duration_ms = round(100 / fps) * 10
    first.save(
        data, 'GIF', save_all=True, append_images=frames, duration=duration_ms, loop=0, disposal=1
    )
    return data.getvalue()


def _palette(video: Path, width: int, fps: float, speed: float) -> Image.Image:
    """Choose one palette for the whole video, so that still areas cost nothing."""
    count = sum(1 for _ in _frames(video, 16, fps, speed))
    if not count:
        raise ParameterError(f'{video.name} has no frames')
    step = max(count // PALETTE_FRAMES, 1)
    frames = _frames(video, width, fps, speed)
    chosen = [frame for index, frame in enumerate(frames) if index % step == 0]
    return Image.fromarray(np.vstack(chosen)).quantize(COLORS, method=Image.Quantize.MEDIANCUT)


def _frames(video: Path, width: int, fps: float, speed: float) -> Iterator[NDArray[np.uint8]]:
    """Yield the frames that ``fps`` wants, scaled to ``width``."""
    next_sec = 0.0
    with av.open(str(video)) as container:
        for frame in container.decode(video=0):
            if (frame.time or 0.0) / speed + 1e-6 < next_sec:
                continue
            next_sec += 1 / fps
            height = round(frame.height * width / frame.width)
            rgb = frame.to_ndarray(format='rgb24')
            scaled = cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA)
            yield np.asarray(scaled, np.uint8)


def _without_noise(frames: Iterator[NDArray[np.uint8]]) -> Iterator[NDArray[np.uint8]]:
    shown: NDArray[np.uint8] | None = None
    for frame in frames:
        if shown is None:
            shown = frame
        else:
            change = cv2.absdiff(frame, shown).max(axis=2, keepdims=True)
            shown = np.where(change >= STILL, frame, shown)
        yield shown
