"""Episode videos, encoded while the robot loop runs."""

from __future__ import annotations

from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Final

import av
from av.container import OutputContainer
from av.video.stream import VideoStream
import cv2
import numpy as np
from numpy.typing import NDArray

from sara_ros.core.errors import ParameterError
from sara_ros.core.files import replacing

CODECS: Final = {
    'libx264': {'preset': 'ultrafast', 'crf': '23', 'tune': 'zerolatency'},
    'mpeg4': {'qscale': '4'},
}
"""Encoders in order of preference; browsers do not play the second."""


def choose_codec() -> str:
    """
    Return the first encoder this PyAV was built with.

    :raises ParameterError: when it has none of them.
    """
    for name in CODECS:
        try:
            av.codec.Codec(name, 'w')
        except av.codec.codec.UnknownCodecError:
            continue
        return name
    raise ParameterError(f'PyAV {av.__version__} has no encoder of {", ".join(CODECS)}')


class EpisodeRecorder:
    """
    Writes RGB frames to an MP4 file, which appears only when recording ends without an error.

    Encoding uses one thread, to leave the other cores to the robot loop. When no frame was
    added there is no file.

    :param path: final name of the file.
    :param fps: frames per second of playback.
    :param size: width and height, px, both even; frames of another size are fitted into it.
    :raises ParameterError: when the size is odd or the rate is not positive.
    """

    def __init__(self, path: Path, fps: float, size: tuple[int, int]) -> None:
        """Check the parameters; the file is opened by ``with``."""
        if fps <= 0 or min(size) <= 0 or size[0] % 2 or size[1] % 2:
            raise ParameterError(f'video of {size} px at {fps} fps: wanted even sizes, fps > 0')
        self.path = path
        self.codec = choose_codec()
        self.frames = 0
        self._fps = Fraction(fps).limit_denominator(1001)
        self._size = size
        self._stack = ExitStack()
        self._container: OutputContainer | None = None
        self._stream: VideoStream | None = None

    def __enter__(self) -> EpisodeRecorder:
        """Return the recorder."""
        return self

    def add(self, rgb: NDArray[np.uint8]) -> None:
        """
        Encode one frame, uint8 RGB of shape (H, W, 3).

        :raises ParameterError: when the array is not such a frame.
        """
        if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3:
            raise ParameterError(
                f'expected a frame (H, W, 3) of uint8, got {rgb.shape} {rgb.dtype}'
            )
        stream = self._stream or self._open()
        # OpenCV converts in a tenth of the time that libswscale takes.
        yuv = cv2.cvtColor(_fitted(rgb, self._size), cv2.COLOR_RGB2YUV_I420)
        frame = av.VideoFrame.from_ndarray(np.asarray(yuv, np.uint8), format='yuv420p')
        frame.pts = self.frames
        frame.time_base = 1 / self._fps
        self._mux(stream, frame)
        self.frames += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Finish the file, or remove it when the block failed."""
        try:
            if self._stream is not None and kind is None:
                self._mux(self._stream, None)
        except BaseException as err:
            self._stack.__exit__(type(err), err, err.__traceback__)
            raise
        self._stack.__exit__(kind, error, trace)

    def _open(self) -> VideoStream:
        partial = self._stack.enter_context(replacing(self.path))
        options = {'movflags': '+faststart'}
        self._container = self._stack.enter_context(
            av.open(str(partial), 'w', format='mp4', options=options)
        )
        stream = self._container.add_stream(self.codec, self._fps, options=CODECS[self.codec])
        stream.width, stream.height = self._size
        stream.pix_fmt = 'yuv420p'
        stream.codec_context.thread_count = 1
        self._stream = stream
        return stream

    def _mux(self, stream: VideoStream, frame: av.VideoFrame | None) -> None:
        assert self._container is not None
        for packet in stream.encode(frame):
            self._container.mux(packet)


def _fitted(rgb: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Scale to fit into ``size`` with black bars, so that nothing is distorted."""
    width, height = size
    if rgb.shape[:2] == (height, width):
        return rgb
    scale = min(width / rgb.shape[1], height / rgb.shape[0])
    inner = max(round(rgb.shape[1] * scale), 1), max(round(rgb.shape[0] * scale), 1)
    canvas = np.zeros((height, width, 3), np.uint8)
    left, top = (width - inner[0]) // 2, (height - inner[1]) // 2
    scaled = cv2.resize(rgb, inner, interpolation=cv2.INTER_AREA)
    canvas[top : top + inner[1], left : left + inner[0]] = scaled
    return canvas
