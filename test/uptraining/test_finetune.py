"""Fine-tuning: same start and batches for every network, and exact after a kill."""

import copy

import pytest
import torch
from uptraining.test_measure import opened

from sara_ros.core import ParameterError
from sara_ros.policies.attention_layers import attention_layers
from sara_ros.training.loop import seed_everything
from sara_ros.training.optimiser import Recipe
from sara_ros.uptraining.convert import convert
from sara_ros.uptraining.finetune import finetune

RECIPE = Recipe(steps=6, batch=4, learning_rate=1e-3, warm_up_steps=1)


class Watched:
    """Data whose batches are written down, and which can be killed at one of them."""

    def __init__(self, data, kill_at=-1):
        self.data, self.kill_at, self.seen, self.heads = data, kill_at, [], {}

    def learner(self, network):
        learner = self.data.learner(network)
        self.heads = {
            name: value.clone()
            for name, value in learner.state_dict().items()
            if not name.startswith('network.')
        }
        return learner

    def losses(self, learner):
        inner = self.data.losses(learner)

        def losses(rng, batch):
            self.seen.append((batch, str(rng.bit_generator.state)))
            if len(self.seen) == self.kill_at:
                raise KeyboardInterrupt
            return inner(rng, batch)

        return losses


def converted(network, backend='sara'):
    """Return a converted copy."""
    torch.manual_seed(0)
    student = copy.deepcopy(network)
    convert(student, backend)
    return student


def test_killed_and_resumed(toy, tmp_path):
    """A kill between two saves changes nothing in the end, normalisation averages included."""
    data, network = opened(toy)
    whole = finetune(converted(network), data, RECIPE, tmp_path / 'a', save_every=4)
    with pytest.raises(KeyboardInterrupt):
        finetune(
            converted(network), Watched(data, kill_at=6), RECIPE, tmp_path / 'b', save_every=4
        )
    again = finetune(converted(network), data, RECIPE, tmp_path / 'b', save_every=4)
    changed = 0
    for name, tensor in whole.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor), name
        changed += not torch.equal(tensor, converted(network).state_dict()[name])
    assert changed > 0.8 * len(whole.state_dict())


def test_control_has_the_same_start_and_batches(toy, tmp_path):
    """So a difference between both comes from the attention alone."""
    data, network = opened(toy)
    watched = [Watched(data), Watched(data)]
    finetune(converted(network), watched[0], RECIPE, tmp_path / 'a')
    seed_everything(99)  # what was drawn before must not matter
    finetune(copy.deepcopy(network), watched[1], RECIPE, tmp_path / 'b')
    assert watched[0].seen == watched[1].seen
    assert len(watched[0].seen) == 6
    assert watched[0].heads.keys() == watched[1].heads.keys()
    for name, tensor in watched[0].heads.items():
        assert torch.equal(watched[1].heads[name], tensor), name


def test_softmax_fine_tuned_twice_is_the_same(toy, tmp_path):
    """A control trained again is the control."""
    data, network = opened(toy)
    first, second = (
        finetune(copy.deepcopy(network), data, RECIPE, tmp_path / name) for name in 'ab'
    )
    for name, tensor in first.state_dict().items():
        assert torch.equal(second.state_dict()[name], tensor), name


def test_other_settings(rt2_toy, tmp_path):
    """Resuming on other frames is refused."""
    data, network = opened(rt2_toy)
    finetune(copy.deepcopy(network), data, RECIPE, tmp_path, settings={'expert_frames': 30})
    with pytest.raises(ParameterError, match=r'other settings \(expert_frames\)'):
        finetune(copy.deepcopy(network), data, RECIPE, tmp_path, settings={'expert_frames': 3})


def test_low_rank(toy, tmp_path):
    """Merged updates leave the layers there were, changed, under their own names."""
    data, network = opened(toy)
    made = finetune(converted(network), data, RECIPE, tmp_path, lora_rank=2)
    before, after = converted(network).state_dict(), made.state_dict()
    assert after.keys() == before.keys()
    layers = attention_layers(made)
    name = next(iter(layers))
    linear = 'out.weight' if toy.name == 'rt2' else 'value.weight'
    change = after[f'{name}.{linear}'] - before[f'{name}.{linear}']
    assert 0 < torch.linalg.matrix_rank(change, rtol=1e-3) <= 2
    assert not torch.equal(after[f'{name}.attention.q_map'], before[f'{name}.attention.q_map'])


def test_low_rank_control_has_the_same_updates(rt2_toy, tmp_path):
    """Initial values of the updates and of the heads are those of the converted network."""
    data, network = opened(rt2_toy)
    watched = [Watched(data), Watched(data)]
    finetune(converted(network, 'hedgehog'), watched[0], RECIPE, tmp_path / 'a', lora_rank=2)
    finetune(copy.deepcopy(network), watched[1], RECIPE, tmp_path / 'b', lora_rank=2)
    for name, tensor in watched[0].heads.items():
        assert torch.equal(watched[1].heads[name], tensor), name
