"""Image messages to RGB arrays, without copies where the encoding allows."""

from __future__ import annotations

import io
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sara_ros.core import ObservationError

Rgb = NDArray[np.uint8]

MOST_PIXELS: Final = 2**25
"""Compressed pictures of more pixels are refused before memory is taken for them."""
_PNG: Final = b'\x89PNG\r\n\x1a\n'

_CHANNELS: Final = {'rgb8': 3, 'bgr8': 3, 'rgba8': 4, 'bgra8': 4, 'mono8': 1}
_TO_RGB: Final = {
    'bgr8': cv2.COLOR_BGR2RGB,
    'rgba8': cv2.COLOR_RGBA2RGB,
    'bgra8': cv2.COLOR_BGRA2RGB,
    'mono8': cv2.COLOR_GRAY2RGB,
}


def decode_image(message: Any) -> Rgb:
    """
    Return the picture as ``(H, W, 3)`` uint8 RGB; ``rgb8`` shares the message's memory.

    :raises ObservationError: for an unsupported encoding, an empty picture or a short buffer.
    """
    channels = _CHANNELS.get(message.encoding)
    if channels is None:
        raise ObservationError(
            'encoding',
            f"image encoding '{message.encoding}' is not supported; publish one of "
            f'{", ".join(_CHANNELS)}, or a compressed image',
        )
    height, width, step = message.height, message.width, message.step
    if not height or not width:
        raise ObservationError('malformed', f'image has no pixels ({width}x{height})')
    if step < width * channels or len(message.data) < step * height:
        raise ObservationError(
            'malformed',
            f'image of {width}x{height} {message.encoding} with step {step} needs '
            f'{max(step, width * channels) * height} bytes, holds {len(message.data)}',
        )
    rows = np.frombuffer(message.data, np.uint8, step * height).reshape(height, step)
    pixels = rows[:, : width * channels].reshape(height, width, channels)
    return _to_rgb(pixels, message.encoding)


def _to_rgb(pixels: NDArray[Any], encoding: str) -> Rgb:
    if encoding == 'rgb8':
        return pixels
    rgb: Rgb = cv2.cvtColor(np.ascontiguousarray(pixels), _TO_RGB[encoding]).astype(
        np.uint8, copy=False
    )
    return rgb


def decode_compressed(message: Any) -> Rgb:
    """
    Return a JPEG, PNG or WebP picture as ``(H, W, 3)`` uint8 RGB.

    :raises ObservationError: when the data is not a picture.
    """
    data = np.frombuffer(message.data, np.uint8)
    try:
        picture = cv2.imdecode(data, cv2.IMREAD_COLOR) if _plausible(data.tobytes()) else None
    except cv2.error:
        picture = None
    if picture is None:
        raise ObservationError(
            'malformed',
            f"compressed image of format '{message.format}' with {data.size} bytes cannot be "
            'decoded; JPEG, PNG and WebP can',
        )
    return _to_rgb(picture, 'bgr8')


def _plausible(data: bytes) -> bool:
    """
    Tell whether a picture is as large as it says.

    OpenCV takes the memory that a header asks for, gigabytes and seconds, before it notices that
    the data ends.
    """
    try:
        width, height = Image.open(io.BytesIO(data)).size
    except Exception:  # whatever Pillow makes of bytes that are no picture
        return False
    return width * height <= MOST_PIXELS and (not data.startswith(_PNG) or _png_is_whole(data))


def _png_is_whole(data: bytes) -> bool:
    place = len(_PNG)
    while place < len(data):
        kind = data[place + 4 : place + 8]
        place += 12 + int.from_bytes(data[place : place + 4], 'big')
        if kind == b'IEND':
            return place <= len(data)
    return False
