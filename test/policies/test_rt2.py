"""The RT-2 variant: decoding, options, and what it refuses."""

import numpy as np
from policies.small_models import make, rt2_config, spec
import pytest
import torch

from sara_ros.attention import backend_names
from sara_ros.core import Observation, ObservationError, SpecError
from sara_ros.policies import load_policy, warm_up
from sara_ros.policies.loading import synthetic_observation
from sara_ros.policies.rt2 import RT2Policy
from sara_ros.policies.rt2_config import RT2Config, View
from sara_ros.policies.rt2_network import RT2Network


def seen(**changes) -> Observation:
    """Return an observation with random content that fits the tiny model."""
    rng = np.random.default_rng(0)
    values = {
        'front': rng.integers(0, 255, (48, 64, 3), dtype=np.uint8),
        'ee_pose': np.array([0.4, 0, 0.2, 1, 0, 0, 0], np.float32),
        'finger_joint': np.array([0.04], np.float32),
    }
    instruction = changes.pop('instruction', 'reach the red block')
    return Observation.of(instruction, **{**values, **changes})


@pytest.mark.parametrize('horizon', [1, 3])
@pytest.mark.parametrize('backend', backend_names())
def test_acts(tmp_path, backend, horizon):
    """Each backend gives actions inside the ranges, an uncertainty, and marked timing."""
    make(tmp_path, 'rt2', horizon=horizon)
    policy = load_policy(tmp_path, 'tiny', attention_backend=backend)
    warm_up(policy)
    chunk = policy.act(seen())
    assert chunk.values.shape == (horizon, 8)
    assert chunk.values.dtype == np.float32
    assert (chunk.values >= policy.spec.action.low).all()
    assert (chunk.values <= policy.spec.action.high).all()
    assert chunk.uncertainty.shape == (horizon,)
    assert (chunk.uncertainty > 0).all()
    assert (chunk.uncertainty < 5.6).all()
    assert {'preprocess', 'inference'} <= set(chunk.timing.stages_ns)


def test_cached_decoding_is_the_training_forward():
    """Greedy decoding with a cache sees the logits of the parallel forward pass."""
    torch.manual_seed(1)
    network = RT2Network(rt2_config(), 'softmax', {}).eval()
    images = [torch.randint(0, 255, (2, 16, 24, 3), dtype=torch.uint8)]
    state, words = torch.randn(2, 8), torch.randint(0, 5, (2, 8))
    made = network.generate(images, state, words)
    logits = network(images, state, words[:, None], made.tokens[:, None])[:, 0]
    torch.testing.assert_close(logits.softmax(dim=-1), made.probabilities, rtol=1e-4, atol=1e-6)
    assert torch.equal(logits.argmax(dim=-1), made.tokens)


def test_instructions_about_one_image_do_not_mix():
    """Several instructions in one pass give what each gives alone; later tokens are not seen."""
    torch.manual_seed(1)
    network = RT2Network(rt2_config(), 'softmax', {}).eval()
    images = [torch.randint(0, 255, (2, 16, 24, 3), dtype=torch.uint8)]
    state, words = torch.randn(2, 8), torch.randint(0, 5, (2, 3, 8))
    tokens = torch.randint(0, 256, (2, 3, 8))
    together = network(images, state, words, tokens)
    alone = network(images, state, words[:, 1:2], tokens[:, 1:2])
    torch.testing.assert_close(together[:, 1:2], alone, rtol=1e-4, atol=1e-5)
    tokens[:, :, 5:] = 0
    changed = network(images, state, words, tokens)
    torch.testing.assert_close(changed[:, :, :6], together[:, :, :6])
    assert (changed[:, :, 6] - together[:, :, 6]).abs().max() > 1e-4


def test_expectation_decoding(tmp_path):
    """Both ways of reading the head are an option of the stored model."""
    make(tmp_path, 'rt2', 'a')
    make(tmp_path, 'rt2', 'b', decode='expectation')
    first, second = (load_policy(tmp_path, name).act(seen()) for name in 'ab')
    np.testing.assert_allclose(first.uncertainty, second.uncertainty)
    assert np.abs(first.values - second.values).max() > 1e-3


def test_relative_actions():
    """Actions relative to the state are that much higher when the state is."""
    config = rt2_config(
        state=rt2_config().state[:1], relative_to='ee_pose', actions=7,
        token_low=(-0.1,) * 7, token_high=(0.1,) * 7,
    )  # fmt: skip
    needs = spec('rt2')
    dimensions = tuple(needs.action.dimensions[:7])
    with pytest.raises(SpecError, match='7 action tokens, the spec'):
        RT2Policy(needs, RT2Network(config, 'softmax', {}))
    from dataclasses import replace

    action = replace(needs.action, kind='joint_positions', dimensions=dimensions)
    network = RT2Network(config, 'softmax', {})
    torch.nn.init.zeros_(network.state[0].weight)
    policy = RT2Policy(replace(needs, action=action), network)
    low = policy.act(seen(ee_pose=np.array([0.1, 0.1, 0.1, 0.5, 0, 0, 0], np.float32))).values
    high = policy.act(seen(ee_pose=np.array([0.3, 0.1, 0.1, 0.5, 0, 0, 0], np.float32))).values
    np.testing.assert_allclose((high - low)[0, :3], [0.2, 0, 0], atol=1e-6)


def test_quaternion_sign_does_not_matter(tmp_path):
    """A rotation has two quaternions; drivers give either."""
    make(tmp_path, 'rt2')
    policy = load_policy(tmp_path, 'tiny')
    pose = np.array([0.4, 0, 0.2, -0.9, 0.1, 0.2, 0.3], np.float32)
    other = pose * np.array([1, 1, 1, -1, -1, -1, -1], np.float32)
    first, second = (policy.act(seen(ee_pose=p)).uncertainty for p in (pose, other))
    np.testing.assert_array_equal(first, second)


def test_read_only_arrays_are_fine(tmp_path):
    """Buffers of messages cannot be written to."""
    make(tmp_path, 'rt2')
    policy = load_policy(tmp_path, 'tiny')
    for shape in ((48, 64, 3), (16, 24, 3)):
        image = np.full(shape, 100, np.uint8)
        image.flags.writeable = False
        policy.act(seen(front=image))


@pytest.mark.parametrize(
    ('changes', 'reason', 'message'),
    [
        ({'front': np.zeros((48, 64), np.uint8)}, 'shape', r"'front'.*, seen \(48, 64\)"),
        ({'front': np.zeros((48, 64, 3), np.float32)}, 'dtype', 'expected uint8, seen float32'),
        ({'front': np.zeros((0, 64, 3), np.uint8)}, 'shape', 'non-empty'),
        ({'ee_pose': np.zeros(6, np.float32)}, 'shape', "'ee_pose': expected 7 values, seen"),
        ({'ee_pose': np.full(7, np.nan, np.float32)}, 'nan', 'expected finite values'),
        ({'instruction': ''}, 'instruction', 'empty'),
        ({'instruction': ' .!'}, 'instruction', 'empty'),
    ],
)
def test_refused(tmp_path, changes, reason, message):
    """The error names the need, what was expected and what was seen."""
    make(tmp_path, 'rt2')
    with pytest.raises(ObservationError, match=message) as caught:
        load_policy(tmp_path, 'tiny').act(seen(**changes))
    assert caught.value.reason == reason


def test_missing_value(tmp_path):
    """An observation without a need names it."""
    make(tmp_path, 'rt2')
    whole = synthetic_observation(spec('rt2'))
    part = Observation.of(whole.instruction, front=whole['front'])
    with pytest.raises(ObservationError, match="no 'ee_pose'"):
        load_policy(tmp_path, 'tiny').act(part)


def test_unknown_words_are_not_an_error(tmp_path):
    """Words outside the vocabulary become one and the same."""
    make(tmp_path, 'rt2')
    policy = load_policy(tmp_path, 'tiny')
    first = policy.act(seen(instruction='grasp the red block'))
    second = policy.act(seen(instruction='Seize the RED block!'))
    np.testing.assert_array_equal(first.values, second.values)


def test_config_survives_json():
    """The JSON form holds everything, and says what is wrong with it."""
    config = rt2_config(token_low=(0.0,) * 8, token_high=(1.0,) * 8)
    assert RT2Config.from_dict(config.to_dict()) == config
    with pytest.raises(SpecError, match=r'model\.width: expected a whole number'):
        RT2Config.from_dict({**config.to_dict(), 'width': 'wide'})
    with pytest.raises(SpecError, match="decode is 'beam'; known: argmax, expectation"):
        rt2_config(decode='beam')
    with pytest.raises(SpecError, match='patches of 8 do not tile 20x24'):
        View('front', 20, 24, 8)
