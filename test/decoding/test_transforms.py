"""Fixed transforms from parameters."""

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

from sara_ros.core import ObservationError, ParameterError
from sara_ros.decoding.transforms import StaticTransforms, pose_matrix, transform_points

IDENTITY = '0 0 0 0 0 0 1'


def test_a_quarter_turn_and_a_shift():
    half = np.sqrt(0.5)
    transforms = StaticTransforms([f'base cam 1 2 3 0 0 {half} {half}', '', '  '])
    matrix = transforms.lookup('base', 'cam')
    points = np.array([[1, 0, 0, 9], [0, 1, 0, 8]], np.float32)
    moved = transform_points(matrix, points)
    np.testing.assert_allclose(moved, [[1, 3, 3, 9], [0, 2, 3, 8]], atol=1e-6)
    np.testing.assert_array_equal(points[0], [1, 0, 0, 9])  # the sensor's own array


@given(
    st.lists(st.floats(-1, 1), min_size=4, max_size=4).filter(lambda q: np.linalg.norm(q) > 0.1)
)
def test_matrices_rotate(quaternion):
    """Up to 1 % of length is rounding, which must not scale the cloud."""
    quaternion = np.array(quaternion) / np.linalg.norm(quaternion) * 1.009
    rotation = pose_matrix(np.array([1, 2, 3, *quaternion]))[:3, :3]
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-9)
    assert np.linalg.det(rotation) == pytest.approx(1)


@pytest.mark.parametrize(('target', 'source'), [('', 'cam'), ('base', ''), ('cam', 'cam')])
def test_frames_that_are_the_same_or_not_told_need_no_transform(target, source):
    assert StaticTransforms([]).lookup(target, source) is None


def test_transforms_are_chained_in_both_directions():
    """A cloud in the frame of a camera's driver, and parameters for the frames above it."""
    half = np.sqrt(0.5)
    transforms = StaticTransforms(
        [f'base mount 1 0 0 0 0 {half} {half}', 'cam mount 0 0 -2 0 0 0 1']
    )
    np.testing.assert_allclose(transforms.lookup('base', 'cam')[:3, 3], [1, 0, 2], atol=1e-12)
    there = transforms.lookup('base', 'cam') @ transforms.lookup('cam', 'base')
    np.testing.assert_allclose(there, np.eye(4), atol=1e-12)


def test_what_was_heard_counts_where_no_parameter_says_otherwise():
    transforms = StaticTransforms([f'base cam 1 0 0 {IDENTITY[6:]}'])
    with pytest.raises(ObservationError):
        transforms.lookup('base', 'optical')
    transforms.hear('base', 'cam', np.array([9, 9, 9, 0, 0, 0, 1]))
    transforms.hear('cam', 'optical', np.array([0, 0, 1, 0, 0, 0, 1]))
    np.testing.assert_allclose(transforms.lookup('base', 'cam')[:3, 3], [1, 0, 0])
    np.testing.assert_allclose(transforms.lookup('base', 'optical')[:3, 3], [1, 0, 1])
    transforms.hear('cam', 'optical', np.array([0, 0, 5, 0, 0, 0, 1]))
    np.testing.assert_allclose(transforms.lookup('base', 'optical')[:3, 3], [1, 0, 5])
    with pytest.raises(ValueError, match='unit length'):
        transforms.hear('cam', 'optical', np.zeros(7))


def test_a_missing_transform_names_the_parameter():
    transforms = StaticTransforms([f'base other {IDENTITY}'])
    with pytest.raises(ObservationError, match='parameter static_transforms') as err:
        transforms.lookup('base', 'cam')
    assert "'base cam x y z qx qy qz qw'" in str(err.value)
    assert err.value.reason == 'frame'


@pytest.mark.parametrize(
    ('entry', 'text'),
    [
        ('base', 'list index'),
        ('base cam', 'expected 7 numbers'),
        ('base cam 0 0 0 0 0 1', 'expected 7 numbers'),
        (f'base cam {IDENTITY} 1', 'expected 7 numbers'),
        ('base cam 0 0 zero 0 0 0 1', "'zero'"),
        ('base cam 0 0 0 0 0 0 0', 'not of unit length'),
        ('base cam 0 0 0 0 0 0 1.1', 'not of unit length'),
        ('base cam 0 0 0 0 0 0 nan', 'finite'),
        ('base cam 0 inf 0 0 0 0 1', 'finite'),
    ],
)
def test_an_entry_that_cannot_be_read_is_named(entry, text):
    """NaN once passed, and every point of the cloud was dropped later on."""
    with pytest.raises(ParameterError, match='static_transforms: ') as err:
        StaticTransforms([f'a b {IDENTITY}', entry])
    assert f"'{entry}' does not read" in str(err.value)
    assert text in str(err.value)
