"""Models that come, change and go in a watched folder."""

import os
import shutil

from policies.small_models import make
import pytest

from sara_ros.core import CheckpointError
from sara_ros.policies.checkpoint import read
from sara_ros.policies.watched_folder import WatchedFolder


def settle(folder):
    """Look until nothing changes, and return what was verified on the way."""
    verified = set()
    folder.look()
    while changed := folder.look():
        folder.verify(changed)
        verified |= changed
    folder.forget_missing()
    return verified


@pytest.fixture
def watched(tmp_path):
    """Return a watched folder with one verified model."""
    make(tmp_path, 'rt2', 'one')
    folder = WatchedFolder(tmp_path)
    assert settle(folder) == {'one'}
    return folder


def errors(folder):
    return {model.model_id: model.error for model in folder.models()}


def test_nothing_is_verified_twice(watched):
    assert settle(watched) == set()
    assert errors(watched) == {'one': ''}
    assert watched.models()[0].stored.checkpoint.spec.model_id == 'one'


def test_what_still_changes_is_not_verified(watched):
    """A model that is being copied would be listed as broken."""
    make(watched.models_dir, 'rt2', 'two')
    assert watched.look() == set()
    weights = watched.models_dir / 'two' / 'weights.safetensors'
    os.utime(weights, ns=(1, 1))
    assert watched.look() == set()
    assert watched.look() == {'two'}


def test_changes_and_removals(watched):
    weights = watched.models_dir / 'one' / 'weights.safetensors'
    weights.write_bytes(weights.read_bytes()[:-1] + b'\x55')
    assert settle(watched) == {'one'}
    assert 'SHA-256' in errors(watched)['one']
    shutil.rmtree(watched.models_dir / 'one')
    settle(watched)
    assert errors(watched) == {}


def test_other_formats_than_safetensors_are_no_models(watched):
    folder = watched.models_dir / 'pickled'
    folder.mkdir()
    (folder / 'weights.pt').write_bytes(b'\x80\x04.')
    settle(watched)
    assert 'policy.json' in errors(watched)['pickled']


@pytest.mark.parametrize('part', ['', 'policy.json', 'weights.safetensors'])
def test_what_leads_outside_the_folder_is_refused(watched, tmp_path_factory, part):
    """The folder, or a file in it, is a link to somewhere else."""
    outside = tmp_path_factory.mktemp('outside')
    make(outside, 'rt2', 'two')
    folder = watched.models_dir / 'two'
    if part:
        shutil.copytree(outside / 'two', folder)
        (folder / part).unlink()
    (folder / part).symlink_to(outside / 'two' / part)
    settle(watched)
    assert 'leads outside' in errors(watched)['two']
    with pytest.raises(CheckpointError, match=r'leads outside .*; copy the model there instead'):
        read(watched.models_dir, 'two')


def test_a_link_within_the_folder_is_followed(watched):
    shutil.copytree(watched.models_dir / 'one', watched.models_dir / 'two')
    policy = watched.models_dir / 'two' / 'policy.json'
    policy.write_text(policy.read_text().replace('"one"', '"two"'))
    weights = watched.models_dir / 'two' / 'weights.safetensors'
    weights.unlink()
    weights.symlink_to(watched.models_dir / 'one' / 'weights.safetensors')
    settle(watched)
    assert errors(watched) == {'one': '', 'two': ''}


def test_a_folder_that_is_gone_has_no_models(watched):
    shutil.rmtree(watched.models_dir)
    settle(watched)
    assert errors(watched) == {}
