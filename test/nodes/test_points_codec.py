"""PointCloud2 messages to arrays and back."""

from array import array
from contextlib import suppress
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
import numpy as np
import pytest

pytest.importorskip('rclpy')

from nodes.clouds import XYZ, cloud, records
from sensor_msgs.msg import PointCloud2

from sara_ros.core import ObservationError
from sara_ros.decoding.points import decode_picture, decode_points
from sara_ros.nodes.points_codec import encode_points

DATA = Path(__file__).resolve().parents[3] / 'shared' / 'data'
RGB = ('red', 'green', 'blue')


def refused(message, extra=()):
    """Return the error of a cloud that cannot be used."""
    with pytest.raises(ObservationError) as caught:
        decode_points(message, extra)
    return caught.value


@given(
    arrays(
        np.float32, st.tuples(st.integers(1, 30), st.just(3)), elements=st.floats(-9, 9, width=32)
    ),
    st.randoms(use_true_random=False),
)
def test_round_trip(points, random):
    colors = np.array([[random.randrange(256) for _ in 'rgb'] for _ in points], np.uint8)
    message = encode_points(points, colors, stamp_ns=10**9, frame_id='cam')
    decoded = decode_points(message, RGB)
    np.testing.assert_array_equal(decoded[:, :3], points)
    np.testing.assert_array_equal(np.rint(decoded[:, 3:] * 255), colors)
    assert (message.header.frame_id, message.is_dense) == ('cam', True)


def test_an_organised_cloud_keeps_its_picture():
    """Colours once came out one too dark where c / 255 * 255 fell short of c."""
    colors = np.arange(256 * 3, dtype=np.uint16).reshape(16, 16, 3).astype(np.uint8)
    positions = np.full((16, 16, 3), np.nan, np.float32)
    positions[3, 4] = (1, 2, 3)
    message = encode_points(positions, colors, stamp_ns=0, frame_id='cam')
    assert (message.height, message.width, message.is_dense) == (16, 16, False)
    np.testing.assert_array_equal(decode_picture(message), colors)
    np.testing.assert_array_equal(decode_points(message), [[1, 2, 3]])


@pytest.mark.parametrize('kind', ['<f4', '<f8', '>f4', '>f8', '<i2', '>i4'])
@pytest.mark.parametrize('row_padding', [0, 5])
def test_types_byte_orders_and_padded_rows(kind, row_padding):
    message = cloud(records(kind), width=2, row_padding=row_padding)
    points = decode_points(message)
    assert points.dtype == np.float32
    np.testing.assert_array_equal(points, XYZ)


def test_the_last_row_may_lack_its_padding():
    message = cloud(records(), width=2, row_padding=5)
    message.data = message.data[:-5]
    np.testing.assert_array_equal(decode_points(message), XYZ)


def test_unaligned_strides_and_offsets():
    layout = records(extra=[('ring', '<u2')], offsets=[1, 6, 11, 17], itemsize=23)
    layout['ring'] = (5, 6, 7, 8)
    points = decode_points(cloud(layout), ('ring',))
    np.testing.assert_array_equal(points, np.column_stack([XYZ, (5, 6, 7, 8)]))


PACKED = np.array([0x00FF8000, 0x00010203, 0, 0x00FFFFFF], np.uint32)
UNPACKED = np.array([(255, 128, 0), (1, 2, 3), (0, 0, 0), (255, 255, 255)]) / 255


@pytest.mark.parametrize('order', ['<', '>'])
@pytest.mark.parametrize('kind', ['u4', 'i4', 'f4'])
@pytest.mark.parametrize('name', ['rgb', 'rgba'])
def test_packed_colours(name, kind, order):
    """Packed floats of a big-endian cloud were once read back to front."""
    layout = records(f'{order}f4', extra=[(name, f'{order}{kind}')])
    bits = PACKED if name == 'rgb' else PACKED | np.uint32(0xFF000000)
    native = bits.view(f'={kind}')
    stored = native.byteswap() if order == '>' else native
    layout[name] = stored.view(f'{order}{kind}')
    np.testing.assert_allclose(decode_points(cloud(layout), RGB)[:, 3:], UNPACKED, rtol=1e-6)


def test_a_packed_colour_of_eight_bytes_is_refused():
    err = refused(cloud(records(extra=[('rgb', '<f8')])), RGB)
    assert (err.reason, str(err)) == ('malformed', 'packed colour has type float64; need 4 bytes')


def test_points_that_are_not_finite_are_left_out():
    layout = records(extra=[('ring', '<f4')])
    layout['y'][0], layout['z'][2], layout['ring'][3] = np.nan, np.inf, np.nan
    np.testing.assert_array_equal(decode_points(cloud(layout)), [XYZ[1], XYZ[3]])
    np.testing.assert_array_equal(decode_points(cloud(layout), ('ring',)), [[*XYZ[1], 0]])


@pytest.mark.filterwarnings('error')
def test_points_too_far_for_float32_are_left_out_without_a_warning():
    layout = records('<f8')
    layout['x'][1] = 1e300
    np.testing.assert_array_equal(decode_points(cloud(layout)), np.delete(XYZ, 1, axis=0))


def test_a_cloud_of_nan_is_refused():
    layout = records()
    layout['x'] = np.nan
    err = refused(cloud(layout))
    assert (err.reason, str(err)) == ('no_points', 'cloud of 4 points has none with finite x y z')


@pytest.mark.parametrize('changes', [{'width': 0}, {'height': 0}])
def test_a_cloud_without_points_is_refused(changes):
    err = refused(changed(**changes))
    assert err.reason == 'no_points'
    assert 'cloud is empty' in str(err)


def changed(**changes):
    """Return a cloud in which fields of the message contradict its data."""
    message = cloud(records())
    for name, value in changes.items():
        setattr(message, name, value)
    return message


@pytest.mark.parametrize(
    ('changes', 'text'),
    [
        ({'data': array('B', bytes(47))}, 'needs 48 bytes, holds 47'),
        ({'data': array('B')}, 'holds 0'),
        ({'point_step': 0}, 'point_step 0'),
        ({'row_step': 40}, 'row_step 40'),
        ({'width': 2**32 - 1}, 'row_step 48'),
        ({'point_step': 8, 'row_step': 48}, "field 'z' ends beyond point_step 8"),
    ],
)
def test_malformed_clouds_say_what_is_wrong(changes, text):
    err = refused(changed(**changes))
    assert err.reason == 'malformed'
    assert text in str(err)


def test_a_field_at_the_end_of_the_world_is_refused():
    message = cloud(records())
    message.fields[2].offset = 2**32 - 1
    assert refused(message).reason == 'malformed'


def test_fields_of_one_name_are_refused():
    message = cloud(records())
    message.fields[1].name = 'x'
    err = refused(message)
    assert err.reason == 'malformed'
    assert 'cloud fields cannot be read' in str(err)


@pytest.mark.parametrize(
    ('change', 'extra', 'text'),
    [
        (lambda m: m.fields.clear(), (), 'cloud lacks x, y, z; its fields are none'),
        (lambda m: m.fields.pop(), (), 'cloud lacks z; its fields are x, y'),
        (lambda m: None, RGB, 'cloud lacks red, green, blue; its fields are x, y, z'),
        (lambda m: setattr(m.fields[0], 'count', 3), (), 'cloud lacks x'),
        (lambda m: setattr(m.fields[0], 'datatype', 99), (), 'cloud lacks x'),
    ],
)
def test_missing_fields_are_named(change, extra, text):
    message = cloud(records())
    change(message)
    err = refused(message, extra)
    assert err.reason == 'missing_fields'
    assert text in str(err)


@given(st.binary(max_size=64), st.integers(0, 40), st.integers(0, 40), st.integers(0, 5))
def test_no_message_raises_anything_else(data, width, stride, height):
    message = PointCloud2(height=height, width=width, point_step=stride, row_step=width * stride)
    message.fields = cloud(records()).fields
    message.data = array('B', data)
    with suppress(ObservationError):
        assert np.isfinite(decode_points(message)).all()


def read_pcd(path):
    """Read a binary PCD file as it lies on the disk: header, and records without padding."""
    data = path.read_bytes()
    end = data.index(b'DATA binary\n') + len(b'DATA binary\n')
    header = dict(line.split(' ', 1) for line in data[:end].decode().splitlines() if ' ' in line)
    kinds = zip(header['TYPE'].split(), header['SIZE'].split(), strict=True)
    formats = [f'<{kind.lower()}{size}' for kind, size in kinds]
    dtype = np.dtype(list(zip(header['FIELDS'].split(), formats, strict=True)))
    return np.frombuffer(data[end:], dtype, int(header['POINTS']))


def test_a_real_lidar_scan():
    """Ten fields of several types, with a byte more a point as some drivers send them."""
    path = DATA / 'lidar' / 'vlp16.pcd'
    if not path.is_file():
        pytest.skip(f'no recording at {path}')
    tight = read_pcd(path)
    scan = np.zeros(tight.size, np.dtype([*tight.dtype.descr, ('tag', 'u1')]))
    for name in tight.dtype.names:
        scan[name] = tight[name]
    assert scan.dtype.itemsize == 33
    points = decode_points(cloud(scan), ('intensity',))
    expected = np.column_stack([scan[name] for name in ('x', 'y', 'z', 'intensity')])
    finite = np.isfinite(expected).all(axis=1)
    np.testing.assert_array_equal(points, expected[finite].astype(np.float32))
    assert len(points) > 14_000


@pytest.mark.parametrize('scene', ['kinect_learn0', 'kinect_learn10', 'kinect_learn14'])
def test_a_real_kinect_scene(scene):
    """Organised, 640x480, NaN where depth is missing."""
    path = DATA / 'scenes' / f'{scene}.pcd'
    if not path.is_file():
        pytest.skip(f'no recording at {path}')
    open3d = pytest.importorskip('open3d')
    read = open3d.t.io.read_point_cloud(str(path))
    positions = read.point.positions.numpy().astype(np.float32).reshape(480, 640, 3)
    colors = np.random.default_rng(0).integers(0, 256, positions.shape, np.uint8)
    message = encode_points(positions, colors, stamp_ns=0, frame_id='kinect')
    finite = np.isfinite(positions).all(axis=2)
    assert 0 < finite.sum() < finite.size
    points = decode_points(message, RGB)
    np.testing.assert_array_equal(points[:, :3], positions[finite])
    np.testing.assert_allclose(points[:, 3:], colors[finite] / 255, rtol=1e-6)
