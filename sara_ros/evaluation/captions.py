"""Text on video frames."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Final

import cv2
import matplotlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from sara_ros.evaluation.formatting import one_line

PADDING_PX: Final = 8
ACCENT_PX: Final = 5
TITLE_PX: Final = 18
TEXT_PX: Final = 14
LEADING: Final = 1.35
SCENE_SHARE: Final = 0.22
"""How much of the scene shines through the band."""

ACCENTS: Final = {'success': (0, 158, 115), 'failure': (213, 94, 0)}
NEUTRAL: Final = (86, 180, 233)
PAPER: Final = (12, 15, 20)
INK: Final = (255, 255, 255)
DIM_INK: Final = (210, 214, 218)


def caption(frame: NDArray[np.uint8], *lines: str, state: str = '') -> NDArray[np.uint8]:
    """
    Return a copy of an RGB frame (H, W, 3) with ``lines`` on a dark band along its upper edge.

    Neither the table nor a player's controls are there.

    The first line is the title. Lines that are too wide end in an ellipsis. ``state`` colours
    the mark on the left: 'success' and 'failure' have their own colour.
    """
    width_px = frame.shape[1]
    band = np.vstack([_edge(width_px), *(_line(t, width_px, i == 0) for i, t in enumerate(lines))])
    band = np.vstack([band, _edge(width_px)])[: frame.shape[0]]
    band[:, :ACCENT_PX] = ACCENTS.get(state, NEUTRAL)
    result: NDArray[np.uint8] = frame.copy()
    scene = result[: band.shape[0]]
    # The sum saturates, so that text stays white on any scene.
    scene[:] = cv2.addWeighted(scene, SCENE_SHARE, band, 1.0, 0.0)
    return result


def _edge(width_px: int) -> NDArray[np.uint8]:
    return np.full((PADDING_PX, width_px, 3), PAPER, np.uint8)


# Drawing text costs more than encoding the frame, and most lines repeat from frame to frame.
@lru_cache(maxsize=16)
def _line(line: str, width_px: int, title: bool) -> NDArray[np.uint8]:
    size_px = TITLE_PX if title else TEXT_PX
    font = _font(size_px, bold=title)
    left = ACCENT_PX + PADDING_PX
    image = Image.new('RGB', (width_px, round(size_px * LEADING)), PAPER)
    text = _fitted(line, font, width_px - left - PADDING_PX)
    ImageDraw.Draw(image).text((left, 0), text, font=font, fill=INK if title else DIM_INK)
    return np.asarray(image, np.uint8)


def _fitted(line: str, font: ImageFont.FreeTypeFont, width_px: int) -> str:
    text = one_line(line)
    if font.getlength(text) <= width_px:
        return text
    while text and font.getlength(text + '…') > width_px:
        text = text[:-1]
    return text + '…'


@lru_cache(maxsize=4)
def _font(size_px: int, *, bold: bool) -> ImageFont.FreeTypeFont:
    name = 'DejaVuSans-Bold.ttf' if bold else 'DejaVuSans.ttf'
    return ImageFont.truetype(str(Path(matplotlib.get_data_path(), 'fonts', 'ttf', name)), size_px)
