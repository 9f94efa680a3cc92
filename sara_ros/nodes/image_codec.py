"""Image messages to RGB arrays and back, without copies where the encoding allows."""

from __future__ import annotations

from array import array
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from sara_ros.core import ObservationError
from sara_ros.nodes.ros_time import to_time

Rgb = NDArray[np.uint8]

_CHANNELS: Final = {'rgb8': 3, 'bgr8': 3, 'rgba8': 4, 'bgra8': 4, 'mono8': 1}
_TO_RGB: Final = {
    'bgr8': cv2.COLOR_BGR2RGB,
    'rgba8': cv2.COLOR_RGBA2RGB,
    'bgra8': cv2.COLOR_BGRA2RGB,
    'mono8': cv2.COLOR_GRAY2RGB,
}


def decode_image(message: Image) -> Rgb:
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


def decode_compressed(message: CompressedImage) -> Rgb:
    """
    Return a JPEG, PNG or WebP picture as ``(H, W, 3)`` uint8 RGB.

    :raises ObservationError: when the data is not a picture.
    """
    data = np.frombuffer(message.data, np.uint8)
    try:
        picture = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    except cv2.error:  # a picture larger than OpenCV's limit
        picture = None
    if picture is None:
        raise ObservationError(
            'malformed',
            f"compressed image of format '{message.format}' with {data.size} bytes cannot be "
            'decoded; JPEG, PNG and WebP can',
        )
    return _to_rgb(picture, 'bgr8')


def encode_image(rgb: Rgb, *, stamp_ns: int, frame_id: str) -> Image:
    """Return an ``rgb8`` message; the pixels are copied once."""
    height, width, _ = rgb.shape
    message = Image(height=height, width=width, encoding='rgb8', step=width * 3)
    message.header.stamp = to_time(stamp_ns)
    message.header.frame_id = frame_id
    # array('B') is the field's own type; any other sequence is checked element by element.
    message.data = array('B')
    message.data.frombytes(np.ascontiguousarray(rgb).data)
    return message


def camera_info(
    *, width: int, height: int, intrinsics: tuple[float, float, float, float],
    stamp_ns: int, frame_id: str,
) -> CameraInfo:  # fmt: skip
    """Describe a pinhole camera without distortion; ``intrinsics`` is fx, fy, cx, cy in pixels."""
    fx, fy, cx, cy = intrinsics
    message = CameraInfo(width=width, height=height, distortion_model='plumb_bob', d=[0.0] * 5)
    message.header.stamp = to_time(stamp_ns)
    message.header.frame_id = frame_id
    message.k = [fx, 0.0, cx, 0.0, fy, cy, 0.0, 0.0, 1.0]
    message.r = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
    message.p = [fx, 0.0, cx, 0.0, 0.0, fy, cy, 0.0, 0.0, 0.0, 1.0, 0.0]
    return message
