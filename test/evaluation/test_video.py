"""Videos decode to the frames that went in; a failed recording leaves nothing."""

import av
import numpy as np
from PIL import Image
import pytest

from sara_ros.core import ParameterError
from sara_ros.evaluation import video
from sara_ros.evaluation.gif import write_gif
from sara_ros.evaluation.video import EpisodeRecorder

SIZE = (160, 120)


def frames(count, size=SIZE):
    """Yield frames with a bright bar that moves to the right."""
    width, height = size
    for index in range(count):
        frame = np.full((height, width, 3), (40, 80, 160), np.uint8)
        left = index * (width - 16) // count
        frame[:, left : left + 16] = (240, 200, 30)
        yield frame


def record(path, count, error=None):
    """Write a video of ``count`` frames at 20 Hz, then raise ``error`` if there is one."""
    with EpisodeRecorder(path, 20, SIZE) as recorder:
        for frame in frames(count):
            recorder.add(frame)
        if error is not None:
            raise error
    return path


def decode(path):
    """Return the codec, the rate and all frames of a video."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        images = [frame.to_ndarray(format='rgb24') for frame in container.decode(video=0)]
        return stream.codec_context.name, float(stream.average_rate), images


def test_frames_come_back(tmp_path):
    """Count, rate, order and colours survive."""
    codec, rate_hz, images = decode(record(tmp_path / 'a.mp4', 37))
    assert codec == 'h264'
    assert rate_hz == pytest.approx(20)
    assert len(images) == 37
    for expected, image in zip(frames(37), images, strict=True):
        assert np.abs(expected.astype(int) - image).mean() < 6


def test_fallback_codec(tmp_path, monkeypatch):
    """A PyAV without H.264 still records, and the recorder says with what."""
    monkeypatch.setattr(video, 'CODECS', {'no_such_codec': {}, 'mpeg4': {}})
    with EpisodeRecorder(tmp_path / 'a.mp4', 20, SIZE) as recorder:
        for frame in frames(5):
            recorder.add(frame)
    assert recorder.codec == 'mpeg4'
    codec, _, images = decode(tmp_path / 'a.mp4')
    assert (codec, len(images)) == ('mpeg4', 5)


def test_no_codec(tmp_path, monkeypatch):
    """The message names what was looked for."""
    monkeypatch.setattr(video, 'CODECS', {'no_such_codec': {}})
    with pytest.raises(ParameterError, match='no encoder of no_such_codec'):
        EpisodeRecorder(tmp_path / 'a.mp4', 20, SIZE)


def test_error_leaves_no_file(tmp_path):
    """Neither the final name nor a partial file is there."""
    with pytest.raises(RuntimeError, match='policy died'):
        record(tmp_path / 'a.mp4', 5, error=RuntimeError('policy died'))
    assert list(tmp_path.iterdir()) == []


def test_nothing_under_the_final_name_while_recording(tmp_path):
    """A reader never opens half a video."""
    with EpisodeRecorder(tmp_path / 'a.mp4', 20, SIZE) as recorder:
        for frame in frames(5):
            recorder.add(frame)
        assert not recorder.path.exists()
        assert len(list(tmp_path.iterdir())) == 1
    assert list(tmp_path.iterdir()) == [recorder.path]


def test_no_frames_no_file(tmp_path):
    """An empty video would be a file that no player opens."""
    with EpisodeRecorder(tmp_path / 'a.mp4', 20, SIZE) as recorder:
        assert recorder.frames == 0
    assert list(tmp_path.iterdir()) == []


def test_other_sizes_are_fitted(tmp_path):
    """A square frame keeps its shape between black bars."""
    with EpisodeRecorder(tmp_path / 'a.mp4', 20, SIZE) as recorder:
        recorder.add(np.full((60, 60, 3), 200, np.uint8))
    (image,) = decode(tmp_path / 'a.mp4')[2]
    assert image.shape == (120, 160, 3)
    assert image[:, :16].mean() < 10
    assert image[:, 30:130].mean() > 190


@pytest.mark.parametrize(('fps', 'size'), [(0, SIZE), (20, (161, 120)), (20, (0, 0))])
def test_impossible_formats(tmp_path, fps, size):
    """H.264 needs even sizes; the message says what is wanted."""
    with pytest.raises(ParameterError, match='wanted even sizes, fps > 0'):
        EpisodeRecorder(tmp_path / 'a.mp4', fps, size)


@pytest.mark.parametrize('shape', [(120, 160), (120, 160, 4)])
def test_impossible_frames(tmp_path, shape):
    """A grey or four-channel image is refused by name of its shape."""
    recording = EpisodeRecorder(tmp_path / 'a.mp4', 20, SIZE)
    with recording, pytest.raises(ParameterError, match=r'\(H, W, 3\) of uint8, got \(120'):
        recording.add(np.zeros(shape, np.uint8))


def test_gif(tmp_path):
    """Two seconds at 20 Hz become ten frames at 5 Hz, with the colours of the video."""
    source = record(tmp_path / 'a.mp4', 40)
    assert write_gif(source, tmp_path / 'a.gif', width=160, fps=5) == (160, 5)
    with Image.open(tmp_path / 'a.gif') as gif:
        assert gif.size == (160, 120)
        assert gif.n_frames == 10
        assert gif.info['duration'] == 200
        assert gif.info['loop'] == 0
        gif.seek(5)
        shown = np.asarray(gif.convert('RGB')).astype(int)
    assert np.abs(shown - list(frames(40))[20]).mean() < 8


def test_gif_faster_than_it_happened(tmp_path):
    """At double speed half the frames remain."""
    source = record(tmp_path / 'a.mp4', 40)
    write_gif(source, tmp_path / 'a.gif', width=160, fps=5, speed=2.0)
    with Image.open(tmp_path / 'a.gif') as gif:
        assert gif.n_frames == 5


def test_gif_shrinks_to_its_limit(tmp_path):
    """Noise does not compress, so width and rate give way."""
    rng = np.random.default_rng(0)
    with EpisodeRecorder(tmp_path / 'a.mp4', 20, (320, 240)) as recorder:
        for _ in range(20):
            recorder.add(rng.integers(0, 255, (240, 320, 3), np.uint8))
    path = tmp_path / 'a.gif'
    width_px, fps = write_gif(recorder.path, path, width=320, fps=10, max_bytes=200_000)
    assert path.stat().st_size <= 200_000
    assert width_px < 320
    assert fps < 10
    path.unlink()
    with pytest.raises(ParameterError, match='does not fit into 500 bytes'):
        write_gif(recorder.path, path, width=320, fps=10, max_bytes=500)
    assert not path.exists()
