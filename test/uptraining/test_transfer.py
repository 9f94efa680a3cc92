"""Transfer: what is matched, what is trained, and that a killed run goes on exactly."""

import copy
import json

import pytest
import torch
from uptraining.test_convert import network

from sara_ros.core import ParameterError
from sara_ros.policies.attention_layers import attention_layers
from sara_ros.policies.pct_network import PCTNetwork
from sara_ros.training.optimiser import Recipe
from sara_ros.uptraining.convert import convert
from sara_ros.uptraining.transfer import transfer

RECIPE = Recipe(steps=8, batch=2, learning_rate=1e-2, warm_up_steps=1, weight_decay=0.0)


def encode(model, rng, batch):
    """Run the attention layers of a toy on noise."""
    torch.manual_seed(int(rng.integers(99)))
    if isinstance(model, PCTNetwork):
        return model.encode(torch.rand(batch, 32, 6), torch.zeros(batch, 3))
    return model.encode([
        torch.randint(0, 256, (batch, view.height, view.width, 3), dtype=torch.uint8)
        for view in model.config.views
    ])  # fmt: skip


def pair(kind, backend='sara', layers=None):
    """Return a student and its teacher."""
    teacher = network(kind)
    student = copy.deepcopy(teacher)
    convert(student, backend, layers=layers)
    return student, teacher


@pytest.mark.parametrize('kind', ['rt2', 'pct'])
def test_only_the_new_attention_learns(tmp_path, kind):
    """The error falls; of the student only the new layers change, of the teacher nothing."""
    student, teacher = pair(kind, layers=[1])
    before = [copy.deepcopy(model.state_dict()) for model in (student, teacher)]
    recipe = Recipe(steps=60, batch=2, learning_rate=2e-2, warm_up_steps=1, weight_decay=0.0)
    transfer(student, teacher, encode, recipe, tmp_path, save_every=10)
    new = f'{list(attention_layers(student))[1]}.attention.'
    for name, tensor in before[0].items():
        assert torch.equal(student.state_dict()[name], tensor) != name.startswith(new), name
    for name, tensor in before[1].items():
        assert torch.equal(teacher.state_dict()[name], tensor), name
    assert {layer.attention.name for layer in attention_layers(teacher).values()} == {'softmax'}
    points = _points(tmp_path)
    assert points[-1]['loss'] < 0.7 * points[0]['loss']
    assert set(points[0]) == {'step', 'loss', list(attention_layers(student))[1]}


def test_error_is_that_of_each_layer(tmp_path):
    """Each layer sees what softmax layers before it returned, not its own predecessors."""
    student, teacher = pair('rt2')
    transfer(student, teacher, encode, Recipe(1, 2, 1e-9, warm_up_steps=1), tmp_path)
    alone, _ = pair('rt2', layers=[1])
    transfer(alone, teacher, encode, Recipe(1, 2, 1e-9, warm_up_steps=1), tmp_path / 'alone')
    both, one = _points(tmp_path)[0], _points(tmp_path / 'alone')[0]
    assert both['encoder.1'] == one['encoder.1']
    assert both['loss'] == pytest.approx((both['encoder.0'] + both['encoder.1']) / 2)


@pytest.mark.parametrize('kind', ['rt2', 'pct'])
def test_killed_and_resumed(tmp_path, kind):
    """A kill between two saves changes nothing in the end."""
    whole, teacher = pair(kind)
    transfer(whole, teacher, encode, RECIPE, tmp_path / 'whole', save_every=3)
    count = iter(range(99))

    def killed(model, rng, batch):
        if next(count) == 4:
            raise KeyboardInterrupt
        return encode(model, rng, batch)

    with pytest.raises(KeyboardInterrupt):
        transfer(pair(kind)[0], teacher, killed, RECIPE, tmp_path / 'parts', save_every=3)
    again = pair(kind)[0]
    transfer(again, teacher, encode, RECIPE, tmp_path / 'parts', save_every=3)
    for name, tensor in whole.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor), name


def test_other_settings(tmp_path):
    """A folder belongs to one run."""
    student, teacher = pair('rt2')
    transfer(student, teacher, encode, RECIPE, tmp_path, settings={'expert_frames': 3})
    with pytest.raises(ParameterError, match=r'other settings \(expert_frames\)'):
        transfer(student, teacher, encode, RECIPE, tmp_path, settings={'expert_frames': 4})


def test_nothing_to_learn(tmp_path):
    """A backend without weights is left as it is."""
    student, teacher = pair('rt2', 'taylor')
    assert transfer(student, teacher, encode, RECIPE, tmp_path / 'a') is None
    assert not (tmp_path / 'a').exists()


def test_not_converted(tmp_path):
    """There is nothing to match."""
    teacher = network('rt2')
    with pytest.raises(ParameterError, match='no layer of the student was converted'):
        transfer(copy.deepcopy(teacher), teacher, encode, RECIPE, tmp_path)


def _points(folder):
    return json.loads((folder / 'curve.json').read_text())['points']
