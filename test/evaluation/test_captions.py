"""Captions are readable, stay in their band and never change the original frame."""

import numpy as np

from sara_ros.evaluation.captions import ACCENTS, caption
from sara_ros.evaluation.status import LiveStatus

GREY = np.full((480, 640, 3), 128, np.uint8)


def test_band_and_scene():
    """The band is above, the scene below is untouched, and so is the frame passed in."""
    frame = GREY.copy()
    result = caption(frame, 'push the red block', 'second line')
    assert (frame == 128).all()
    assert (result[100:] == 128).all()
    assert (result[:40, 10:] == 255).all(axis=2).mean() > 0.01
    assert result[:30].mean() < 100


def test_texts_differ():
    """Different words give different pixels; the same words the same."""
    assert (caption(GREY, 'left') != caption(GREY, 'right')).any()
    assert (caption(GREY, 'left') == caption(GREY, 'left')).all()


def test_long_lines_end_within_the_frame():
    """The right margin stays free of text however long an instruction is."""
    margin = caption(GREY, 'push ' * 200)[:, -6:]
    assert (margin == caption(GREY, '')[:, -6:]).all()


def test_outcome_has_a_colour():
    """Success, failure and anything else can be told apart at a glance."""
    marks = {state: tuple(caption(GREY, 'x', state=state)[4, 1]) for state in ('', *ACCENTS)}
    assert len(set(marks.values())) == 3


def test_tiny_frame():
    """A frame lower than the band is covered, not an error."""
    assert caption(np.zeros((20, 64, 3), np.uint8), 'one', 'two', 'three').shape == (20, 64, 3)


def test_lines_say_who_drives():
    """The expert is never passed off as learned, and absent values are dashes."""
    expert = LiveStatus(1, 'lift', 'expert', learned=False)
    instruction, policy, timing = expert.caption_lines()
    assert instruction == 'lift'
    assert policy == 'expert (scripted expert) · running · step 0'
    assert timing == '- Hz · sensor-to-command p50 / p95 / p99: - / - / - ms'
    learned = LiveStatus(1, 'lift', 'rt2', True, 'success', 7, 9.96, 10.04, 20.0, 30.0)
    assert learned.caption_lines()[1] == 'rt2 (learned) · success · step 7'
    assert learned.latency == '10.0 / 20.0 / 30.0'
