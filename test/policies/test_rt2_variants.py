"""Variants of the RT-2 network: history, finer patches, numbers as text, and chunks at once."""

from dataclasses import replace

import numpy as np
from policies.small_models import make, rt2_config, spec
from policies.test_rt2 import seen
import pytest
import torch

from sara_ros.attention import backend_names
from sara_ros.core import Observation, SpecError
from sara_ros.core.timing import TimingRecord
from sara_ros.policies import load_policy, warm_up
from sara_ros.policies.number_tokens import NumberTokens
from sara_ros.policies.rt2 import RT2Policy
from sara_ros.policies.rt2_config import RT2Config, View
from sara_ros.policies.rt2_network import ImageStem, RT2Network

HISTORY = {'history': 3, 'frame_spacing_sec': 0.1, 'history_layers': 1}
VECTOR = {'coding': 'vector', 'actions': 24}
PARALLEL = {'generation': 'parallel'}
FINE = {'views': (View('front', 16, 24, 8, overlap=2),)}
VARIANTS = {
    'history': HISTORY,
    'vector': VECTOR,
    'parallel': PARALLEL,
    'fine': FINE,
    'all': {**HISTORY, **VECTOR, **PARALLEL, **FINE},
}


def pictures(count, seed=0):
    """Return images of the size that the tiny network takes."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, 255, (count, 16, 24, 3), dtype=np.uint8)


def at(stamp_ms, **changes):
    """Return an observation with a stamp."""
    observation = seen(**changes)
    timing = TimingRecord(stamp_ns=stamp_ms * 1_000_000, mark_ns=0)
    return Observation(observation.values, observation.instruction, timing)


@pytest.mark.parametrize('name', VARIANTS)
def test_acts(tmp_path, name):
    """Written, verified and loaded, each variant acts inside the ranges."""
    make(tmp_path, 'rt2', **VARIANTS[name])
    policy = load_policy(tmp_path, 'tiny')
    warm_up(policy)
    chunk = policy.act(seen())
    assert chunk.values.shape == (1, 8)
    assert (chunk.values >= policy.spec.action.low).all()
    assert (chunk.values <= policy.spec.action.high).all()
    assert (chunk.uncertainty > 0).all()


@pytest.mark.parametrize('name', VARIANTS)
def test_decoding_is_the_training_forward(name):
    """Tokens chosen at each place have the probabilities of the parallel forward pass."""
    torch.manual_seed(1)
    config = rt2_config(**VARIANTS[name])
    network = RT2Network(config, 'softmax', {}).eval()
    frames = torch.from_numpy(pictures(2 * config.history))
    images = frames.unflatten(0, (2, config.history)) if config.history > 1 else frames
    state, words = torch.randn(2, 8), torch.randint(0, 5, (2, 8))
    made = network.generate([images], state, words)
    logits = network([images], state, words[:, None], made.tokens[:, None])[:, 0]
    torch.testing.assert_close(logits.softmax(dim=-1), made.probabilities, rtol=1e-4, atol=1e-6)
    assert torch.equal(logits.argmax(dim=-1), made.tokens)
    assert made.probabilities.shape == (2, config.actions, config.symbols)


def test_parallel_places_do_not_see_tokens():
    """The true tokens have no influence on what is predicted."""
    torch.manual_seed(1)
    network = RT2Network(rt2_config(horizon=3, **PARALLEL), 'softmax', {}).eval()
    images, state = [torch.from_numpy(pictures(2))], torch.randn(2, 8)
    words = torch.randint(0, 5, (2, 3, 8))
    first, second = (
        network(images, state, words, torch.randint(0, 256, (2, 3, 24))) for _ in range(2)
    )
    torch.testing.assert_close(first, second)


def test_a_chunk_has_an_uncertainty_for_each_step(tmp_path):
    """Steps differ in it."""
    make(tmp_path, 'rt2', horizon=4, **PARALLEL)
    chunk = load_policy(tmp_path, 'tiny').act(seen())
    assert chunk.values.shape == (4, 8)
    assert len(set(chunk.uncertainty.tolist())) == 4


@pytest.mark.parametrize('generation', ['autoregressive', 'parallel'])
def test_only_valid_symbols_are_chosen(generation):
    """However much the head likes digits where a sign belongs, and signs among digits."""
    torch.manual_seed(0)
    network = RT2Network(rt2_config(**VECTOR, generation=generation), 'softmax', {}).eval()
    for favourite in (0, 7):
        torch.nn.init.zeros_(network.head.bias)
        network.head.bias.data[favourite] = 100.0
        made = network.generate(
            [torch.from_numpy(pictures(1))], torch.zeros(1, 8), torch.ones(1, 8, dtype=torch.long)
        )
        numbers = made.tokens.reshape(8, 3)
        assert (numbers[:, 0] < 2).all()
        assert (numbers[:, 1:] >= 2).all()
        assert made.probabilities[0, 0, 2:].max() == 0
        values = NumberTokens(spec('rt2').action).decode(made.tokens)
        assert values.isfinite().all()


def test_history_is_what_the_network_sees_in_training(tmp_path):
    """Frame by frame, from cached tokens, the policy returns what one pass over all would."""
    make(tmp_path, 'rt2', **HISTORY)
    policy = load_policy(tmp_path, 'tiny')
    images = pictures(5)
    for index, image in enumerate(images):
        chunk = policy.act(at(1000 + 100 * index, front=image))
    inputs = policy.preprocess(seen(front=images[-1]))
    with torch.inference_mode():
        made = policy.network.generate(
            [torch.from_numpy(images[None, 2:])], inputs.state, inputs.words
        )
    expected = policy._tokens.decode(made.tokens[0]).numpy()
    np.testing.assert_allclose(chunk.values, expected, atol=1e-6)


def test_the_order_of_frames_matters():
    """The same three pictures in another order are another past."""
    torch.manual_seed(0)
    network = RT2Network(rt2_config(**HISTORY), 'softmax', {}).eval()
    torch.nn.init.normal_(network.frame)
    frames = torch.from_numpy(pictures(3))[None]
    # As a set of tokens the memory would be the same.
    there, back = (network.encode([f]).mean(dim=1) for f in (frames, frames.flip(1)))
    assert (there - back).abs().max() > 1e-3


def test_each_frame_is_encoded_once(tmp_path, monkeypatch):
    """The images of past frames never pass the encoder again."""
    make(tmp_path, 'rt2', **HISTORY)
    policy = load_policy(tmp_path, 'tiny')
    counted, real = [], policy.network.stems[0].forward
    monkeypatch.setattr(
        policy.network.stems[0], 'forward', lambda image: counted.append(len(image)) or real(image)
    )
    for index, image in enumerate(pictures(6)):
        policy.act(at(100 * index, front=image))
    assert counted == [1] * 6


def test_reset_forgets(tmp_path):
    """A new run begins as the first one did; without reset the past shows."""
    make(tmp_path, 'rt2', **HISTORY)
    policy = load_policy(tmp_path, 'tiny')
    first, second = pictures(2)
    alone = policy.act(at(1000, front=first)).uncertainty
    remembered = policy.act(at(1100, front=second)).uncertainty
    policy.reset()
    np.testing.assert_array_equal(policy.act(at(1000, front=first)).uncertainty, alone)
    policy.reset()
    assert not np.array_equal(policy.act(at(1100, front=second)).uncertainty, remembered)


@pytest.mark.parametrize('backend', sorted(set(backend_names()) - {'auto'}))
def test_every_backend_mixes_frames(tmp_path, backend):
    """Layers over the history take any backend."""
    make(tmp_path, 'rt2', **HISTORY)
    policy = load_policy(tmp_path, 'tiny', attention_backend=backend)
    assert policy.network.history_encoder[0].attention.name == backend
    assert np.isfinite(policy.act(seen()).values).all()


def test_overlapping_patches_contain_the_others():
    """With the same weights every second token is the one of the view without overlap."""
    torch.manual_seed(0)
    plain = ImageStem(View('front', 16, 24, 8), 32)
    fine = ImageStem(View('front', 16, 24, 8, overlap=2), 32)
    fine.layers.load_state_dict(plain.layers.state_dict())
    image = torch.from_numpy(pictures(1))
    coarse = (plain(image) - plain.position).reshape(2, 3, 32)
    dense = (fine(image) - fine.position).reshape(4, 6, 32)
    torch.testing.assert_close(dense[::2, ::2], coarse)


def test_tokens_of_the_fine_view():
    """Four times as many, and 784 in the shipped size."""
    assert View('front', 192, 256, 16, overlap=2).tokens + View('wrist', 64, 64, 16).tokens == 784


@pytest.mark.parametrize('name', VARIANTS)
def test_config_survives_json(name):
    """The JSON form holds every field."""
    config = rt2_config(**VARIANTS[name])
    assert RT2Config.from_dict(config.to_dict()) == config


def test_older_descriptions_are_read():
    """Models written before these options have none of their fields."""
    config = rt2_config()
    data = config.to_dict()
    for name in ('coding', 'digits', 'generation', 'history', 'frame_spacing_sec',
                 'history_layers'):  # fmt: skip
        del data[name]
    del data['views'][0]['overlap']
    assert RT2Config.from_dict(data) == config


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'coding': 'words'}, "coding is 'words'; known: bins, vector"),
        ({'generation': 'backwards'}, "generation is 'backwards'; known: autoregressive, par"),
        ({'coding': 'vector', 'actions': 8}, '8 action tokens are no numbers of a sign and 2'),
        ({**VECTOR, 'decode': 'expectation'}, "coding 'vector' has no mean"),
        ({'history': 3}, 'history 3, frame_spacing_sec 0.0 and history_layers 0 contradict'),
        ({'history_layers': 1}, 'contradict each other'),
        ({'history': 0}, 'history is at least 1'),
    ],
)
def test_refused(changes, message):
    """Options that contradict each other are named."""
    with pytest.raises(SpecError, match=message):
        rt2_config(**changes)


def test_overlap_is_refused():
    """A patch has no more parts than pixels."""
    with pytest.raises(SpecError, match='overlap is 3; it is 1, 2 or 4'):
        View('front', 16, 24, 8, overlap=3)
    with pytest.raises(SpecError, match='below the patch of 4'):
        View('front', 16, 24, 4, overlap=4)


def test_spec_must_state_the_history_and_the_tokens():
    """A graph reads both from the spec."""
    network = RT2Network(rt2_config(**HISTORY), 'softmax', {})
    with pytest.raises(SpecError, match='sees 3 frames, the spec states a history of 1'):
        RT2Policy(spec('rt2'), network)
    network = RT2Network(rt2_config(**VECTOR), 'softmax', {})
    with pytest.raises(SpecError, match='24 action tokens, the spec 2 x 8 of 3 tokens each'):
        RT2Policy(replace(spec('rt2'), action=replace(spec('rt2').action, horizon=2)), network)
