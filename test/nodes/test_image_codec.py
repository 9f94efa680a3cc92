"""Image messages to RGB and back."""

from array import array
from contextlib import suppress

import cv2
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
import numpy as np
import pytest

pytest.importorskip('rclpy')

from nodes.pictures import PNG_BOMB
from sensor_msgs.msg import CompressedImage, Image

from sara_ros.core import ObservationError
from sara_ros.decoding.images import decode_compressed, decode_image
from sara_ros.nodes.image_codec import camera_info, encode_image

RGB = np.arange(4 * 5 * 3, dtype=np.uint8).reshape(4, 5, 3)


def message(pixels, encoding, *, padding=0, **changes):
    """Return an image of ``pixels`` (H, W) or (H, W, C) whose rows are padded."""
    height, width = pixels.shape[:2]
    rows = pixels.reshape(height, -1)
    padded = np.pad(rows, ((0, 0), (0, padding)), constant_values=77)
    image = Image(height=height, width=width, encoding=encoding, step=padded.shape[1])
    image.data = array('B', padded.tobytes())
    for name, value in changes.items():
        setattr(image, name, value)
    return image


@given(arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(3))))
def test_round_trip(rgb):
    image = encode_image(rgb, stamp_ns=1_500_000_007, frame_id='cam')
    assert (image.header.stamp.sec, image.header.stamp.nanosec) == (1, 500_000_007)
    assert (image.header.frame_id, image.encoding, image.step) == ('cam', 'rgb8', rgb.shape[1] * 3)
    np.testing.assert_array_equal(decode_image(image), rgb)


@pytest.mark.parametrize('padding', [0, 2])
def test_rgb8_shares_the_memory_of_the_message(padding):
    """Zero copy: what is written into the message is seen in the picture."""
    image = message(RGB, 'rgb8', padding=padding)
    picture = decode_image(image)
    image.data[0] = 200
    assert picture[0, 0, 0] == 200
    np.testing.assert_array_equal(picture[1:], RGB[1:])


@pytest.mark.parametrize('padding', [0, 1, 7])
@pytest.mark.parametrize(
    ('encoding', 'pixels'),
    [
        ('rgb8', RGB),
        ('bgr8', RGB[..., ::-1]),
        ('rgba8', np.dstack([RGB, np.full((4, 5), 9, np.uint8)])),
        ('bgra8', np.dstack([RGB[..., ::-1], np.full((4, 5), 9, np.uint8)])),
    ],
)
def test_encodings_and_padded_rows(encoding, pixels, padding):
    np.testing.assert_array_equal(decode_image(message(pixels, encoding, padding=padding)), RGB)


@pytest.mark.parametrize('padding', [0, 3])
def test_mono8_is_grey(padding):
    grey = RGB[..., 0]
    picture = decode_image(message(grey, 'mono8', padding=padding))
    np.testing.assert_array_equal(picture, np.dstack([grey] * 3))


@pytest.mark.parametrize('encoding', ['16UC1', '32FC1', 'bayer_rggb8', 'yuv422', '8UC3', ''])
def test_unsupported_encodings_are_named(encoding):
    with pytest.raises(ObservationError, match=f"'{encoding}' is not supported; publish") as err:
        decode_image(message(RGB, encoding))
    assert err.value.reason == 'encoding'


@pytest.mark.parametrize(
    ('changes', 'text'),
    [
        ({'height': 0}, r'no pixels \(5x0\)'),
        ({'width': 0}, r'no pixels \(0x4\)'),
        ({'step': 14}, 'with step 14 needs 60 bytes'),
        ({'step': 0}, 'with step 0'),
        ({'data': array('B', bytes(59))}, 'needs 60 bytes, holds 59'),
        ({'data': array('B')}, 'holds 0'),
        ({'height': 2**32 - 1, 'width': 2**32 - 1}, 'holds 60'),
    ],
)
def test_malformed_images_say_what_is_wrong(changes, text):
    with pytest.raises(ObservationError, match=text) as err:
        decode_image(message(RGB, 'rgb8', **changes))
    assert err.value.reason == 'malformed'


def compressed(data, form='jpeg'):
    picture = CompressedImage(format=form)
    picture.data = array('B', data)
    return picture


@pytest.mark.parametrize(('suffix', 'tolerance'), [('.jpg', 30), ('.png', 0), ('.webp', 30)])
def test_compressed_pictures(suffix, tolerance):
    smooth = np.dstack([np.tile(np.linspace(0, 255, 64, dtype=np.uint8), (48, 1))] * 3)
    smooth[..., 2] = 40
    data = cv2.imencode(suffix, smooth[..., ::-1])[1].tobytes()
    picture = decode_compressed(compressed(data))
    assert picture.shape == (48, 64, 3)
    assert picture.dtype == np.uint8
    assert np.abs(picture.astype(int) - smooth).max() <= tolerance


def test_grey_and_deep_pictures_become_rgb8():
    deep = np.full((6, 8), 65_535, np.uint16)
    picture = decode_compressed(compressed(cv2.imencode('.png', deep)[1].tobytes()))
    assert (picture.shape, picture.dtype, int(picture.max())) == ((6, 8, 3), np.uint8, 255)


@pytest.mark.parametrize('data', [b'', b'garbage', b'\xff\xd8\xff\xe0', PNG_BOMB])
def test_garbage_is_refused(data):
    """A header that claims 100000x100000 pixels once raised cv2.error and ended the process."""
    with pytest.raises(ObservationError, match="format 'jpeg' with") as err:
        decode_compressed(compressed(data))
    assert err.value.reason == 'malformed'


def test_what_claims_more_than_it_holds_never_reaches_opencv(monkeypatch):
    """A PNG of 180 bytes whose chunk claimed 3 GB once took 3 s and the memory of it."""
    good = cv2.imencode('.png', np.zeros((6, 8, 3), np.uint8))[1].tobytes()
    large = cv2.imencode('.jpg', np.zeros((6, 8, 3), np.uint8))[1].tobytes()
    place = large.index(b'\xff\xc0') + 5
    bad = [
        good[:33] + b'\xc7\x06\x00\x7b' + good[37:],
        good[:-5],
        large[:place] + b'\xff\xf0\xff\xf0' + large[place + 4 :],
    ]
    monkeypatch.setattr(cv2, 'imdecode', lambda *_: pytest.fail('decoded'))
    for data in bad:
        with pytest.raises(ObservationError):
            decode_compressed(compressed(data))


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_else(data):
    for start in (b'', b'\x89PNG\r\n\x1a\n', b'\xff\xd8\xff'):
        with suppress(ObservationError):
            decode_compressed(compressed(start + data))


def test_camera_info():
    info = camera_info(
        width=64, height=48, intrinsics=(50.0, 51.0, 31.5, 23.5), stamp_ns=0, frame_id='cam'
    )
    assert list(info.k) == [50.0, 0, 31.5, 0, 51.0, 23.5, 0, 0, 1]
    assert list(info.p[:3]) == [50.0, 0, 31.5]
    assert (info.width, info.height, info.header.frame_id) == (64, 48, 'cam')
