"""The PCT variant: point filter, actions, and what it refuses."""

import numpy as np
from policies.small_models import make, pct_config
import pytest
import torch

from sara_ros.attention import backend_names, naive
from sara_ros.core import Observation, ObservationError, SpecError
from sara_ros.policies import load_policy, warm_up
from sara_ros.policies.pct_config import PCTConfig
from sara_ros.policies.pct_network import OffsetAttention, PCTNetwork
from sara_ros.policies.point_filter import filter_points, fixed_count


def cloud(count: int = 500) -> np.ndarray:
    """Return points inside the box of the tiny model."""
    rng = np.random.default_rng(0)
    low, high = [0, -0.5, 0, 0, 0, 0], [1, 0.5, 0.1, 1, 1, 1]
    return rng.uniform(low, high, (count, 6)).astype(np.float32)


def seen(points: np.ndarray, instruction: str = 'push the blue block') -> Observation:
    """Return an observation of a cloud."""
    pose = np.array([0.4, 0, 0.2, 1, 0, 0, 0], np.float32)
    joint = np.array([0.04], np.float32)
    return Observation.of(instruction, points=points, ee_pose=pose, finger_joint=joint)


@pytest.mark.parametrize('backend', backend_names('offset'))
def test_acts(tmp_path, backend):
    """Each backend gives an action inside the ranges, and marked timing."""
    make(tmp_path, 'pct')
    policy = load_policy(tmp_path, 'tiny', attention_backend=backend)
    warm_up(policy)
    chunk = policy.act(seen(cloud()))
    assert chunk.values.shape == (1, 8)
    assert chunk.values.dtype == np.float32
    assert (chunk.values >= policy.spec.action.low).all()
    assert (chunk.values <= policy.spec.action.high).all()
    assert {'preprocess', 'inference'} <= set(chunk.timing.stages_ns)


def test_nan_points_are_dropped():
    """A cloud with NaN gives what the same cloud without those points gives."""
    clean = cloud()
    dirty = np.concatenate([clean, np.full((7, 6), np.nan, np.float32)])
    dirty[-1, :3] = 0.5
    np.testing.assert_array_equal(
        filter_points(dirty, pct_config()), filter_points(clean, pct_config())
    )


def test_points_outside_the_box_have_no_influence():
    """The crop keeps only what is inside."""
    far = cloud() + np.array([5, 0, 0, 0, 0, 0], np.float32)
    both = np.concatenate([far, cloud()])
    np.testing.assert_array_equal(
        filter_points(both, pct_config()), filter_points(cloud(), pct_config())
    )


def test_voxels_are_averaged():
    """Two points in one voxel become their mean, colours too."""
    pair = np.array([[0.101, 0, 0, 0, 0, 1], [0.103, 0, 0, 1, 0, 0]], np.float32)
    result = filter_points(pair, pct_config(points=3))
    np.testing.assert_allclose(result, [[0.102, 0, 0, 0.5, 0, 0.5]] * 3, atol=1e-6)


@pytest.mark.parametrize('count', [1, 5, 64, 400])
def test_count_is_fixed(count):
    """Too few are repeated, too many thinned, and the order of the cloud does not matter."""
    points = cloud(count)
    result = fixed_count(points, 64)
    assert result.shape == (64, 6)
    assert len(np.unique(result, axis=0)) == min(count, 64)
    shuffled = np.random.default_rng(1).permutation(points)
    np.testing.assert_array_equal(fixed_count(shuffled, 64), result)


@pytest.mark.parametrize(
    ('points', 'reason', 'message'),
    [
        (cloud() + 10, 'no_points', 'none of 500 points is finite and inside the box'),
        (np.full((9, 6), np.nan, np.float32), 'no_points', 'none of 9 points'),
        (np.zeros((0, 6), np.float32), 'no_points', 'none of 0 points'),
        (cloud()[:, :3], 'shape', r"'points': expected \(N, 6\), seen \(500, 3\)"),
    ],
)
def test_refused(tmp_path, points, reason, message):
    """The error names the need, what was expected and what was seen."""
    make(tmp_path, 'pct')
    with pytest.raises(ObservationError, match=message) as caught:
        load_policy(tmp_path, 'tiny').act(seen(points))
    assert caught.value.reason == reason


def test_offset_attention_is_pcts():
    """The layer is ``relu(norm(linear(x - attention)))`` added to its input, as PCT states."""
    torch.manual_seed(0)
    layer = OffsetAttention(16, 'softmax', {}).eval()
    x = torch.randn(2, 30, 16)
    shared = layer.shared(x)[:, None]
    expected = x + layer.transform(
        x - naive.softmax_offset(shared, shared, layer.value(x)[:, None])[:, 0]
    )
    torch.testing.assert_close(layer(x), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('backend', backend_names('offset'))
def test_order_of_points_does_not_matter(backend):
    """A cloud is a set."""
    torch.manual_seed(0)
    network = PCTNetwork(pct_config(), backend, {}).eval()
    points, state = torch.rand(2, 64, 6), torch.randn(2, 8)
    words = torch.randint(0, 5, (2, 3, 8))
    first = network(points, state, words).actions
    second = network(points[:, torch.randperm(64)], state, words).actions
    torch.testing.assert_close(first, second, rtol=1e-4, atol=1e-5)


def test_config_survives_json():
    """The JSON form holds everything, and says what is wrong with it."""
    assert PCTConfig.from_dict(pct_config().to_dict()) == pct_config()
    with pytest.raises(SpecError, match=r'model\.crop_min: expected three numbers'):
        PCTConfig.from_dict({**pct_config().to_dict(), 'crop_min': [0, 1]})
    with pytest.raises(SpecError, match='is empty'):
        pct_config(crop_max=(0.0, 0.0, 0.0))
    with pytest.raises(SpecError, match='features is 2'):
        pct_config(features=2)
