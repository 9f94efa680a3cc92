"""Statistics of the columns of an episode, as LeRobot states them."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

SIDE_PX: Final = 150
"""Pictures are thinned to about this many pixels along the longer side."""


def column_statistics(rows: NDArray[Any]) -> dict[str, Any]:
    """Return min, max, mean, std and count of rows ``(T, D)``, each a list of D numbers."""
    return {
        'min': rows.min(axis=0).tolist(),
        'max': rows.max(axis=0).tolist(),
        'mean': rows.mean(axis=0, dtype=np.float64).tolist(),
        'std': rows.std(axis=0, dtype=np.float64).tolist(),
        'count': [len(rows)],
    }


class ImageMoments:
    """Minimum, maximum, mean and deviation of each colour, without keeping a picture."""

    def __init__(self) -> None:
        """Start without any."""
        self._count = 0
        self._pixels = 0
        self._low = np.full(3, 255)
        self._high = np.zeros(3, int)
        self._sum = np.zeros(3)
        self._squares = np.zeros(3)

    def add(self, rgb: NDArray[np.uint8]) -> None:
        """Take a picture ``(H, W, 3)``."""
        stride = max(1, max(rgb.shape[:2]) // SIDE_PX)
        pixels = rgb[::stride, ::stride].reshape(-1, 3).astype(np.int64)
        self._count += 1
        self._pixels += len(pixels)
        self._low = np.minimum(self._low, pixels.min(axis=0))
        self._high = np.maximum(self._high, pixels.max(axis=0))
        self._sum += pixels.sum(axis=0)
        self._squares += (pixels**2).sum(axis=0)

    def statistics(self) -> dict[str, Any]:
        """Return the statistics of colours in 0..1, each of shape ``(3, 1, 1)``."""
        mean = self._sum / self._pixels
        deviation = np.sqrt(np.maximum(self._squares / self._pixels - mean**2, 0))
        values = {'min': self._low, 'max': self._high, 'mean': mean, 'std': deviation}
        return {
            **{name: (each / 255).reshape(3, 1, 1).tolist() for name, each in values.items()},
            'count': [self._count],
        }
