"""Variants of the PCT network: sampled and grouped points, and a grasp head."""

import math

import numpy as np
from policies.small_models import make, pct_config
from policies.test_pct import cloud, seen
import pytest
import torch

from sara_ros.core import SpecError
from sara_ros.policies import load_policy, warm_up
from sara_ros.policies.grasp_head import GraspHead
from sara_ros.policies.pct_config import PCTConfig, Stage
from sara_ros.policies.pct_network import PCTNetwork
from sara_ros.policies.point_groups import Grouping, farthest_points, nearest_points, taken

GROUPED = {'grouping': (Stage(32, 8), Stage(16, 4))}


def naive_farthest(points, count):
    """Sample one cloud ``(N, 3)`` as the definition says."""
    chosen = [int((points - points.mean(0)).norm(dim=-1).argmax())]
    while len(chosen) < count:
        gaps = torch.stack([(points - points[index]).norm(dim=-1) for index in chosen])
        chosen.append(int(gaps.min(dim=0).values.argmax()))
    return chosen


def test_farthest_points_are_those_of_the_definition():
    """Each point is the farthest from those before it, in every cloud of a batch."""
    points = torch.rand(3, 50, 3, generator=torch.Generator().manual_seed(0))
    found = farthest_points(points, 20)
    assert found.tolist() == [naive_farthest(one, 20) for one in points]
    shuffled = torch.randperm(50)
    again = taken(points[:, shuffled], farthest_points(points[:, shuffled], 20))
    torch.testing.assert_close(again, taken(points, found))


def test_nearest_points():
    """A centre is its own nearest neighbour."""
    points = torch.rand(2, 40, 3)
    found = nearest_points(points, points[:, :5], 6).sort(dim=-1).values
    gaps = (points[:, :5, None] - points[:, None]).norm(dim=-1)
    assert torch.equal(found, gaps.argsort(dim=-1)[..., :6].sort(dim=-1).values)
    for index in range(5):
        assert (found[:, index] == index).any(dim=-1).all()


def test_grouping_takes_the_largest_of_its_neighbours():
    """One centre with two neighbours, computed by hand."""
    torch.manual_seed(0)
    group = Grouping(Stage(1, 2), 4).eval()
    xyz = torch.tensor([[[0.0, 0, 0], [0.1, 0, 0], [5.0, 0, 0], [5.2, 0, 0]]])
    features = torch.randn(1, 4, 4)
    centres, mixed = group(xyz, features)
    torch.testing.assert_close(centres[0, 0], xyz[0, 3])
    own = features[0, 3]
    pairs = torch.stack([torch.cat((features[0, i] - own, own)) for i in (2, 3)])
    torch.testing.assert_close(mixed[0, 0], group.layers(pairs[None])[0].amax(dim=0))


@pytest.mark.parametrize('changes', [GROUPED, {'grasp_symmetry': 4}], ids=['grouped', 'grasp'])
def test_acts(tmp_path, changes):
    """Written, verified and loaded, each variant acts inside the ranges."""
    make(tmp_path, 'pct', **changes)
    policy = load_policy(tmp_path, 'tiny')
    warm_up(policy)
    chunk = policy.act(seen(cloud()))
    assert chunk.values.shape == (1, 8)
    assert (chunk.values >= policy.spec.action.low).all()
    assert (chunk.values <= policy.spec.action.high).all()
    assert set(chunk.extras) == ({'grasp'} if 'grasp_symmetry' in changes else set())


def test_scores_are_about_the_sampled_points():
    """Pointers look at the points that the stages leave, and those are points of the cloud."""
    torch.manual_seed(0)
    network = PCTNetwork(pct_config(**GROUPED), 'softmax', {}).eval()
    points, state = torch.rand(2, 64, 6), torch.randn(2, 8)
    output = network(points, state, torch.randint(0, 5, (2, 3, 8)))
    assert output.scores.shape == (2, 3, 2, 16)
    gaps = (output.xyz[:, :, None] - points[:, None, :, :3]).norm(dim=-1)
    assert gaps.amin(dim=-1).max() == 0
    shuffled = network(points[:, torch.randperm(64)], state, torch.ones(2, 1, 8).long())
    same = network(points, state, torch.ones(2, 1, 8).long())
    torch.testing.assert_close(shuffled.actions, same.actions, rtol=1e-4, atol=1e-5)


def test_a_grasp_is_made_of_unit_vectors(tmp_path):
    """Position in the frame of the cloud, a direction, and a roll."""
    make(tmp_path, 'pct', grasp_symmetry=4)
    policy = load_policy(tmp_path, 'tiny')
    first = policy.act(seen(cloud(), 'push the blue block')).extras['grasp']
    second = policy.act(seen(cloud(), 'reach the red block')).extras['grasp']
    assert first.shape == (8,)
    assert np.linalg.norm(first[3:6]) == pytest.approx(1, abs=1e-5)
    assert np.linalg.norm(first[6:]) == pytest.approx(1, abs=1e-5)
    assert abs(math.atan2(first[6], first[7])) <= math.pi / 4 + 1e-6
    assert not np.array_equal(first, second)


@pytest.mark.parametrize('roll', [-0.7, -0.1, 0.0, 0.3, 0.78])
def test_a_quarter_turn_is_the_same_grasp(roll):
    """Rolls that differ by a quarter of a turn have one code, which decodes to the smallest."""
    head = GraspHead(8, 4)
    codes = [
        torch.tensor([0, 0, 0, 0, 0, -1, math.sin(4 * turn), math.cos(4 * turn)])
        for turn in (roll, roll + math.pi / 2, roll - math.pi)
    ]
    torch.testing.assert_close(codes[0], codes[1], atol=1e-5, rtol=0)
    for code in codes:
        decoded = head.decode(code)
        assert math.atan2(decoded[6], decoded[7]) == pytest.approx(roll, abs=1e-5)


def test_config_survives_json():
    """The JSON form holds everything; models written before have neither field."""
    config = pct_config(**GROUPED, grasp_symmetry=2)
    assert PCTConfig.from_dict(config.to_dict()) == config
    data = pct_config().to_dict()
    del data['grouping'], data['grasp_symmetry']
    assert PCTConfig.from_dict(data) == pct_config()


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'grouping': (Stage(65, 8),)}, '65 points and 8 neighbours of 64'),
        ({'grouping': (Stage(16, 8), Stage(8, 17))}, '8 points and 17 neighbours of 16'),
        ({'grouping': (Stage(16, 0),)}, '16 points and 0 neighbours'),
        ({'grasp_symmetry': -1}, 'grasp_symmetry is -1'),
    ],
)
def test_refused(changes, message):
    """A stage cannot take more than there is."""
    with pytest.raises(SpecError, match=message):
        pct_config(**changes)
