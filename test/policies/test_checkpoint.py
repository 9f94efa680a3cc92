"""Models on disk: complete or not there, verified, and clear about what is wrong."""

import json
import os

from policies.small_models import make
import pytest
from safetensors.torch import load_file, save_file
import torch

from sara_ros.core import CheckpointError, ParameterError
from sara_ros.policies import checkpoint as checkpoints
from sara_ros.policies import list_models, load_policy, verify
from sara_ros.policies.loading import build_network


def change_json(folder, **changes):
    """Rewrite fields of ``policy.json``."""
    path = folder / 'policy.json'
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def change_weights(folder, edit):
    """Rewrite the weights and state their new hash, as if they had been saved so."""
    path = folder / 'weights.safetensors'
    tensors = load_file(path)
    edit(tensors)
    save_file(tensors, path)
    data = json.loads((folder / 'policy.json').read_text())
    change_json(folder, weights={**data['weights'], 'sha256': checkpoints.sha256_of(path)})


def test_round_trip(tmp_path):
    """What is read is what was written, matrices in 16 bits; the folder holds nothing else."""
    written = make(tmp_path, 'rt2')
    stored = verify(tmp_path, 'tiny')
    assert stored.checkpoint == written
    assert sorted(path.name for path in stored.folder.iterdir()) == [
        'README.md', 'policy.json', 'weights.safetensors',
    ]  # fmt: skip
    assert stored.weights['size_bytes'] == (stored.folder / 'weights.safetensors').stat().st_size
    torch.manual_seed(0)
    for name, tensor in build_network(written).state_dict().items():
        expected = tensor.half() if tensor.ndim > 1 else tensor
        assert torch.equal(stored.load_weights()[name], expected)
    card = (stored.folder / 'README.md').read_text()
    assert stored.weights['sha256'] in card
    assert 'reach the red block' in card


def test_saving_again_replaces(tmp_path):
    """A second save replaces the first and leaves nothing beside it."""
    make(tmp_path, 'rt2')
    make(tmp_path, 'pct')
    assert verify(tmp_path, 'tiny').checkpoint.spec.kind == 'pct'
    assert [path.name for path in tmp_path.iterdir()] == ['tiny']


def test_failed_save_keeps_the_old_model(tmp_path, monkeypatch):
    """A full disk while saving leaves the model that was there, and no part of the new one."""
    make(tmp_path, 'rt2')
    before = (tmp_path / 'tiny' / 'policy.json').read_bytes()

    def full(*_args):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(checkpoints, 'model_card', full)
    with pytest.raises(CheckpointError, match='No space left on device'):
        make(tmp_path, 'pct')
    assert [path.name for path in tmp_path.iterdir()] == ['tiny']
    assert (tmp_path / 'tiny' / 'policy.json').read_bytes() == before


def test_failed_rename_puts_the_old_model_back(tmp_path, monkeypatch):
    """When the new folder cannot take the name, the old one keeps it."""
    make(tmp_path, 'rt2')
    rename = checkpoints.Path.rename
    count = iter(range(9))

    def second_fails(self, target):
        if next(count) == 1:
            raise OSError('no')
        return rename(self, target)

    monkeypatch.setattr(checkpoints.Path, 'rename', second_fails)
    with pytest.raises(CheckpointError, match='cannot be written'):
        make(tmp_path, 'pct')
    assert verify(tmp_path, 'tiny').checkpoint.spec.kind == 'rt2'


def test_nan_is_not_saved(tmp_path):
    """Weights that are not finite never reach the disk."""
    description = make(tmp_path, 'rt2')
    with pytest.raises(CheckpointError, match='weights of a are not finite'):
        checkpoints.save(tmp_path, description, {'a': torch.tensor([1.0, float('nan')])})


def test_numbers_too_large_for_16_bits_are_kept(tmp_path):
    """They would become infinite."""
    description = make(tmp_path, 'rt2')
    large, small = torch.full((2, 2), 1e6), torch.ones(2, 2)
    checkpoints.save(tmp_path, description, {'large': large, 'small': small})
    tensors = checkpoints.read(tmp_path, 'tiny').load_weights()
    assert torch.equal(tensors['large'], large)
    assert tensors['small'].dtype == torch.float16


@pytest.mark.parametrize('name', ['', '..', '../tiny', 'a/b', 'a\\b', '.tiny', ' tiny', 'a:b'])
def test_names_that_leave_the_folder(tmp_path, name):
    """A model id is a plain folder name."""
    make(tmp_path / 'models', 'rt2')
    with pytest.raises(CheckpointError, match='not a plain folder name'):
        load_policy(tmp_path / 'models', name)


def test_missing(tmp_path):
    """The error lists what there is."""
    make(tmp_path, 'rt2')
    with pytest.raises(CheckpointError, match=r"'other' not found in .*; it has: tiny"):
        load_policy(tmp_path, 'other')
    (tmp_path / 'tiny' / 'weights.safetensors').unlink()
    with pytest.raises(CheckpointError, match=r'weights\.safetensors is missing'):
        load_policy(tmp_path, 'tiny')
    (tmp_path / 'tiny' / 'policy.json').unlink()
    with pytest.raises(CheckpointError, match=r'cannot read .*policy\.json'):
        load_policy(tmp_path, 'tiny')


def test_malformed_json(tmp_path):
    """Neither half a file nor another document is a model."""
    make(tmp_path, 'rt2')
    path = tmp_path / 'tiny' / 'policy.json'
    whole = path.read_text()
    path.write_text(whole[:300])
    with pytest.raises(CheckpointError, match='cannot read'):
        load_policy(tmp_path, 'tiny')
    path.write_text('[1, 2]')
    with pytest.raises(CheckpointError, match='expected an object, found list'):
        load_policy(tmp_path, 'tiny')
    path.write_text(whole)
    change_json(tmp_path / 'tiny', format_version=9)
    with pytest.raises(CheckpointError, match='format_version 9'):
        load_policy(tmp_path, 'tiny')
    change_json(tmp_path / 'tiny', format_version=1, spec={'model_id': 'tiny'})
    with pytest.raises(CheckpointError, match="'kind' is missing"):
        load_policy(tmp_path, 'tiny')


def test_tampered_weights(tmp_path):
    """One changed byte is found by the hash."""
    make(tmp_path, 'rt2')
    path = tmp_path / 'tiny' / 'weights.safetensors'
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match='the file was changed, restore it'):
        load_policy(tmp_path, 'tiny')


def test_not_safetensors(tmp_path):
    """A file of another format is refused even when its hash is stated."""
    make(tmp_path, 'rt2')
    folder = tmp_path / 'tiny'
    (folder / 'weights.safetensors').write_bytes(b'\x80\x04pickle')
    digest = checkpoints.sha256_of(folder / 'weights.safetensors')
    change_json(folder, weights={'file': 'weights.safetensors', 'sha256': digest, 'size_bytes': 8})
    with pytest.raises(CheckpointError, match='not a safetensors file'):
        load_policy(tmp_path, 'tiny')
    change_json(folder, weights={'file': '../x', 'sha256': digest, 'size_bytes': 8})
    with pytest.raises(CheckpointError, match=r"weights\.file is '\.\./x'"):
        load_policy(tmp_path, 'tiny')


@pytest.mark.parametrize(
    ('edit', 'message'),
    [
        (lambda t: t.pop('head.bias'), 'head.bias is missing'),
        (lambda t: t.update(extra=torch.ones(2)), 'extra is unexpected'),
        (lambda t: t.update({'head.bias': torch.ones(3)}), r'head.bias has shape \(3,\)'),
        (lambda t: t['head.bias'].fill_(float('nan')), 'weights of head.bias are not finite'),
    ],
)
def test_weights_that_do_not_fit(tmp_path, edit, message):
    """Tensors that are missing, too many, of another shape, or NaN are named."""
    make(tmp_path, 'rt2')
    change_weights(tmp_path / 'tiny', edit)
    with pytest.raises(CheckpointError, match=message):
        load_policy(tmp_path, 'tiny')
    with pytest.raises(CheckpointError, match=message):
        verify(tmp_path, 'tiny')


def test_spec_that_does_not_fit_the_network(tmp_path):
    """A network with other outputs than the spec promises is refused before it acts."""
    description = make(tmp_path, 'rt2')
    model = {**description.model, 'actions': 16}
    change_json(tmp_path / 'tiny', model=model)
    with pytest.raises(CheckpointError, match='16 action tokens, the spec 1 x 8'):
        load_policy(tmp_path, 'tiny')


def test_renamed_folder(tmp_path):
    """A folder states its own name, so that logs never show another model than runs."""
    make(tmp_path, 'rt2')
    os.rename(tmp_path / 'tiny', tmp_path / 'big')
    with pytest.raises(CheckpointError, match="is of model 'tiny'"):
        load_policy(tmp_path, 'big')


def test_list_shows_broken_models(tmp_path):
    """One broken model does not hide the others."""
    make(tmp_path, 'rt2', 'good')
    make(tmp_path, 'rt2', 'bad')
    (tmp_path / 'bad' / 'policy.json').write_text('{')
    (tmp_path / '.partial').mkdir()
    bad, good = list_models(tmp_path)
    assert (bad.model_id, bad.stored) == ('bad', None)
    assert 'cannot read' in bad.error
    assert good.error == ''
    assert good.stored.checkpoint.spec.model_id == 'good'
    assert list_models(tmp_path / 'nowhere') == []


def test_add_metrics(tmp_path):
    """Results measured later reach the JSON and the card; the weights stay as they are."""
    make(tmp_path, 'rt2')
    checkpoints.add_metrics(tmp_path, 'tiny', {'closed_loop': {'success': 3, 'episodes': 4}})
    stored = verify(tmp_path, 'tiny')
    assert stored.checkpoint.metrics['closed_loop']['episodes'] == 4
    assert 'episodes: 4' in (stored.folder / 'README.md').read_text()


@pytest.mark.parametrize('name', ['README.md', 'policy.json'])
def test_disk_that_fills_while_metrics_are_added(tmp_path, monkeypatch, name):
    """The card was new beside an old policy.json, and a part of the file stayed in the folder."""
    make(tmp_path, 'rt2')
    folder = tmp_path / 'tiny'
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    write = checkpoints.Path.write_text

    def full(self, text, encoding=None):
        if self.suffix == f'.{name.split(".")[1]}':
            write(self, text[:20], encoding=encoding)
            raise OSError(28, 'No space left on device')
        return write(self, text, encoding=encoding)

    monkeypatch.setattr(checkpoints.Path, 'write_text', full)
    with pytest.raises(CheckpointError, match=r'tiny/policy\.json and README\.md cannot be.*room'):
        checkpoints.add_metrics(tmp_path, 'tiny', {'closed_loop': {'success': 3}})
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_backend_of_a_trained_model(tmp_path, caplog):
    """Any parameter-free backend serves any model, with a warning; unknown ones are listed."""
    make(tmp_path, 'rt2')
    policy = load_policy(tmp_path, 'tiny', attention_backend='taylor')
    assert policy.spec.attention == {
        'backend': 'taylor', 'options': {}, 'trained_backend': 'softmax',
    }  # fmt: skip
    assert 'expect poorer actions' in caplog.text
    assert load_policy(tmp_path, 'tiny', attention_backend='softmax').spec.attention == {
        'backend': 'softmax', 'options': {},
    }  # fmt: skip
    with pytest.raises(ParameterError, match="unknown attention backend 'fast'; known: softmax"):
        load_policy(tmp_path, 'tiny', attention_backend='fast')


def test_scripted_expert(tmp_path):
    """The built-in policy needs no folder and has no attention to change."""
    assert load_policy(tmp_path, 'scripted_expert').spec.learned is False
    with pytest.raises(ParameterError, match='has no attention'):
        load_policy(tmp_path, 'scripted_expert', attention_backend='taylor')
