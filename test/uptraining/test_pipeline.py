"""The whole run: what it leaves, what it shares, and that a killed one ends the same."""

import json

from policies.small_models import make
import pytest
from safetensors.torch import load_file
import torch
from training.test_bad_input import files, full_disk
from uptraining.toys import config, write_model

from sara_ros.core import CheckpointError, ParameterError
from sara_ros.policies import load_policy, verify, warm_up
from sara_ros.policies.attention_layers import attention_layers
from sara_ros.training.optimiser import Optimiser
from sara_ros.uptraining.pipeline import NO_CONVERSION, NO_STEPS, NO_WEIGHTS, uptrain
from sara_ros.uptraining.record import write_curves

VARIANTS = {'softmax', 'softmax_control', 'converted', 'transferred', 'finetuned'}


def weights(folder):
    """Return the tensors of a model folder."""
    return load_file(folder / 'weights.safetensors')


def controls(toy):
    """Return the folders of softmax controls."""
    return sorted((toy / 'work' / 'uptrain').glob('softmax-control-*'))


def killed_at(monkeypatch, update):
    """Make the given optimiser update of this process fail, after which all go on."""
    count, real = iter(range(999)), Optimiser.update

    def fails_once(self, loss):
        if next(count) == update:
            raise KeyboardInterrupt
        real(self, loss)

    monkeypatch.setattr(Optimiser, 'update', fails_once)


def test_run(toy):
    """The new model serves, and states its parent, its command, its layers and its errors."""
    result = uptrain(config(toy, layers=(1,), options={'function': 'exp'}))
    stored = verify(toy / 'models', 'toy-sara')
    parent = verify(toy / 'models', 'toy')
    checkpoint = stored.checkpoint
    assert checkpoint.parent == {'model_id': 'toy', 'sha256': parent.weights['sha256']}
    assert checkpoint.training['command'] == 'a test'
    assert checkpoint.training['uptraining']['seed'] == 0
    assert checkpoint.spec.attention['layers'] == [1]
    assert checkpoint.spec.attention['options']['function'] == 'exp'
    assert set(checkpoint.metrics['held_out']) == set(result.variants) == VARIANTS
    policy = load_policy(toy / 'models', 'toy-sara')
    warm_up(policy, 1)
    assert [layer.attention.name for layer in attention_layers(policy.network).values()] == [
        'softmax', 'sara',
    ]  # fmt: skip
    assert str(toy) not in (stored.folder / 'policy.json').read_text()


def test_record(rt2_toy):
    """Curves of all three phases as numbers and as a picture, and a record without paths."""
    folder = uptrain(config(rt2_toy)).folder
    record = json.loads((folder / 'record.json').read_text())
    assert str(rt2_toy) not in json.dumps(record)
    assert record['conversion']['layers'][0]['before'] == 'softmax'
    assert set(record['held_out']) == VARIANTS
    assert [record['control']] == [path.name for path in controls(rt2_toy)]
    rows = (folder / 'curves.csv').read_text().splitlines()
    assert rows[0] == 'phase,step,name,value'
    assert {row.split(',')[0] for row in rows[1:]} == {'transfer', 'finetune', 'softmax_control'}
    assert any(row.startswith('transfer,4,encoder.1,') for row in rows)
    assert (folder / 'curves.png').read_bytes().startswith(b'\x89PNG')


def test_disk_that_fills_at_the_curves(tmp_path):
    """The picture that did not fit is named, and no part of it stays."""
    curves = {name: [] for name in ('transfer', 'finetune', 'softmax_control')}
    with full_disk(2000), pytest.raises(ParameterError, match=r'curves\.png cannot be.*Make room'):
        write_curves(tmp_path, curves)
    assert files(tmp_path) == ['curves.csv']


@pytest.mark.parametrize('update', [2, 6, 10])
def test_killed_and_resumed(toy, tmp_path, monkeypatch, update):
    """A kill in transfer, fine-tuning or control leaves no model, and changes nothing."""
    drawn = {'options': {'function': 'exp', 'initialisation': 'random'}}
    whole = uptrain(config(toy, name='whole', **drawn))
    for folder in controls(toy):
        folder.rename(tmp_path / 'control')
    killed_at(monkeypatch, update)
    with pytest.raises(KeyboardInterrupt):
        uptrain(config(toy, name='parts', **drawn))
    assert sorted(path.name for path in (toy / 'models').iterdir()) == ['toy', 'whole']
    again = uptrain(config(toy, name='parts', **drawn))
    assert again.variants == whole.variants
    for name, tensor in weights(whole.model).items():
        assert torch.equal(weights(again.model)[name], tensor), name


def test_control_is_trained_once(rt2_toy, monkeypatch):
    """Another backend takes the control that is there; another rate trains another one."""
    first = uptrain(config(rt2_toy))
    steps, real = [], Optimiser.update
    monkeypatch.setattr(Optimiser, 'update', lambda *a: (steps.append(1), real(*a)))
    second = uptrain(config(rt2_toy, backend='taylor'))
    assert len(steps) == 4
    assert second.variants['softmax_control'] == first.variants['softmax_control']
    assert second.transferred == NO_WEIGHTS
    assert 'transferred' not in second.variants
    assert len(controls(rt2_toy)) == 1
    third = uptrain(config(rt2_toy, name='fast', learning_rate=1e-2))
    assert third.variants['softmax_control'] != first.variants['softmax_control']
    assert len(controls(rt2_toy)) == 2


def test_control_is_the_parent_trained_further(toy):
    """It has the parent's tensors and no others, and they have moved."""
    uptrain(config(toy))
    state, parent = load_file(controls(toy)[0] / 'state.safetensors'), weights(toy / 'models/toy')
    prefix = 'average/network.'
    control = {name[len(prefix) :]: t for name, t in state.items() if name.startswith(prefix)}
    assert control.keys() == parent.keys()
    assert sum(not torch.equal(control[name], parent[name]) for name in parent) > len(parent) / 2


def test_control_as_a_model(toy, monkeypatch):
    """Backend softmax keeps the control that others were compared with, and trains none."""
    other = uptrain(config(toy))
    monkeypatch.setattr(Optimiser, 'update', lambda *_: pytest.fail('trained again'))
    result = uptrain(config(toy, backend='softmax'))
    assert result.transferred == NO_CONVERSION
    assert str(result.report).endswith('no layer was converted')
    assert result.variants == {
        name: other.variants[name] for name in ('softmax', 'softmax_control')
    }
    stored = verify(toy / 'models', 'toy-softmax')
    parent = verify(toy / 'models', 'toy')
    assert stored.checkpoint.spec.attention == parent.checkpoint.spec.attention
    assert stored.checkpoint.parent['model_id'] == 'toy'
    assert weights(stored.folder).keys() == weights(parent.folder).keys()
    assert stored.weights['sha256'] != parent.weights['sha256']
    record = json.loads((result.folder / 'record.json').read_text())
    assert record['control'] == controls(toy)[0].name
    assert record['curves']['softmax_control']


def test_a_changed_control_is_refused(rt2_toy):
    """A control is used for the settings it states only."""
    uptrain(config(rt2_toy))
    path = controls(rt2_toy)[0] / 'settings.json'
    path.write_text(json.dumps({**json.loads(path.read_text()), 'batch': 999}))
    with pytest.raises(ParameterError, match='holds a run with batch 999, not 4'):
        uptrain(config(rt2_toy, backend='taylor'))


def test_auto_is_measured_as_linear(toy):
    """It may serve as softmax, but its errors are those of the backend that was trained."""
    auto = uptrain(config(toy, backend='auto', finetune_steps=0))
    sara = uptrain(config(toy, backend='sara', finetune_steps=0))
    assert auto.variants == sara.variants
    assert auto.variants['converted'] != auto.variants['softmax']
    warm_up(load_policy(toy / 'models', 'toy-auto'), 1)


def test_phases_can_be_left_out(rt2_toy):
    """Zero steps of a phase leave it out, and with fine-tuning the control."""
    result = uptrain(config(rt2_toy, transfer_steps=0, finetune_steps=0))
    assert result.transferred == NO_STEPS
    assert set(result.variants) == {'softmax', 'converted'}
    assert controls(rt2_toy) == []
    assert verify(rt2_toy / 'models', 'toy-sara').checkpoint.training['transfer'] == NO_STEPS


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'batch': 6}, 'holds a run with batch 4, not 6'),
        ({'seed': 1}, 'seed 0, not 1'),
        ({'backend': 'taylor', 'name': 'toy-sara'}, "backend 'sara', not 'taylor'"),
        ({'options': {'function': 'exp'}}, r"options \{\}, not \{'function': 'exp'\}"),
        ({'layers': (0,)}, r'layers None, not \[0\]'),
        ({'finetune_steps': 5}, 'finetune_steps 4, not 5'),
    ],
)
def test_resumed_with_other_settings(rt2_toy, changes, message):
    """The setting is named, and the model that was made stays."""
    folder = uptrain(config(rt2_toy, finetune_steps=4, transfer_steps=0)).model
    before = (folder / 'policy.json').read_bytes()
    with pytest.raises(ParameterError, match=message):
        uptrain(config(rt2_toy, **{'transfer_steps': 0, **changes}))
    assert (folder / 'policy.json').read_bytes() == before


def test_resumed_with_another_parent(rt2_toy):
    """A parent that was trained again is another one."""
    uptrain(config(rt2_toy, transfer_steps=0, finetune_steps=0))
    path = rt2_toy / 'work' / 'uptrain' / 'toy-sara' / 'settings.json'
    path.write_text(path.read_text().replace('"parent_sha256": "', '"parent_sha256": "0'))
    with pytest.raises(ParameterError, match="holds a run with parent_sha256 '0"):
        uptrain(config(rt2_toy, transfer_steps=0, finetune_steps=0))


def test_converting_what_was_up_trained(rt2_toy):
    """An up-trained model is not up-trained again."""
    uptrain(config(rt2_toy, transfer_steps=0, finetune_steps=0))
    with pytest.raises(ParameterError, match='already has attention backend'):
        uptrain(config(rt2_toy, model_id='toy-sara', backend='taylor'))


def test_wrong_values_cost_nothing(tmp_path):
    """They are found before a frame is collected or a folder made."""
    write_model(tmp_path / 'models', 'rt2')
    with pytest.raises(ParameterError, match="unknown attention backend 'fast'"):
        uptrain(config(tmp_path, backend='fast'))
    for changes in ({'layers': (0,)}, {'options': {'function': 'exp'}}, {'finetune_steps': 0}):
        with pytest.raises(ParameterError, match=r"'softmax', the control, .* only fine-tuned"):
            config(tmp_path, backend='softmax', **changes)
    with pytest.raises(CheckpointError, match="model 'absent' not found"):
        uptrain(config(tmp_path, model_id='absent'))
    with pytest.raises(CheckpointError, match='not a plain folder name'):
        uptrain(config(tmp_path, name='../toy'))
    assert not (tmp_path / 'work').exists()


def test_a_model_that_does_not_state_its_data(tmp_path):
    """It is not guessed what a model was trained on."""
    make(tmp_path / 'models', 'rt2')
    with pytest.raises(ParameterError, match="'tiny' does not state what it was trained on"):
        uptrain(config(tmp_path, model_id='tiny'))


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'batch': 1}, 'batch is 1; must be at least 2'),
        ({'transfer_steps': -1}, 'transfer_steps is -1; must be at least 0'),
        ({'held_out': 0}, 'held_out is 0; must be at least 1'),
        ({'threads': 0}, 'threads is 0; must be at least 1'),
        ({'lora': -2}, 'lora is -2'),
        ({'learning_rate': 0.0}, r'learning_rate \(--lr\) is 0\.0; must be above 0'),
        ({'learning_rate': float('nan')}, r'learning_rate \(--lr\) is nan'),
        ({'name': 'toy'}, "name is 'toy', which is the model it comes from"),
    ],
)
def test_wrong_numbers(tmp_path, changes, message):
    """Each is named with its limit."""
    with pytest.raises(ParameterError, match=message):
        config(tmp_path, **changes)
