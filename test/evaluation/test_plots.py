"""The timing plot is drawn for any session, in the colours of its stages."""

import io

import numpy as np
from PIL import Image
import pytest

from sara_ros.core import STAGES
from sara_ros.evaluation.plots import (
    DARK,
    LIGHT,
    MODEL_COLORS,
    STAGE_COLORS,
    timing_plot,
    timing_png,
)


def pixels(png):
    """Decode a PNG to (N, 3)."""
    return np.asarray(Image.open(io.BytesIO(png)).convert('RGB')).reshape(-1, 3)


def share(png, color):
    """Return the share of pixels of exactly ``color``, given as #rrggbb."""
    return (pixels(png) == list(bytes.fromhex(color[1:]))).all(axis=1).mean()


def test_every_stage_is_visible(tmp_path, samples):
    """Each stage has its own colour and an area of its own."""
    path = timing_plot(samples, tmp_path / 'timing.png')
    data = path.read_bytes()
    assert len(set(STAGE_COLORS.values())) == len(STAGES)
    for stage in STAGES:
        assert share(data, STAGE_COLORS[stage]) > 5e-4, stage


def test_inference_takes_the_larger_area(samples):
    """Inference is seven times as long as transport, and so is its bar."""
    png = timing_png(samples)
    ratio = share(png, STAGE_COLORS['inference']) / share(png, STAGE_COLORS['transport'])
    assert ratio == pytest.approx(7, rel=0.3)


def test_themes(samples):
    """Paper is light or dark."""
    assert share(timing_png(samples, LIGHT), LIGHT.paper) > 0.5
    assert share(timing_png(samples, DARK), DARK.paper) > 0.5


def test_nothing_to_plot(make_sample):
    """Without timed commands the plot says so; no bar is drawn."""
    for samples in ([], [make_sample(warm_up=True)], [make_sample(hold=True)]):
        png = timing_png(samples)
        assert share(png, STAGE_COLORS['inference']) == 0
        assert share(png, LIGHT.ink) > 0


def test_one_outlier_does_not_flatten_the_rest(make_sample):
    """A spike of a second leaves the latency axis to the other commands."""
    steady = [make_sample(n, 10.0) for n in range(200)]
    with_spike = [*steady, make_sample(200, 1000.0)]
    assert 0.2 < middle_row(timing_png(with_spike), MODEL_COLORS[0]) < 0.5


def middle_row(png, color):
    """Return where the median pixel of about ``color`` lies, as a share of the height."""
    image = np.asarray(Image.open(io.BytesIO(png)).convert('RGB')).astype(int)
    close = np.abs(image - list(bytes.fromhex(color[1:]))).max(axis=2) < 50
    rows, _ = np.nonzero(close[:, image.shape[1] // 2 :])
    return np.median(rows) / image.shape[0]
