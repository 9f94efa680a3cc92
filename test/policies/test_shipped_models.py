"""Every model in ``models`` is whole, fits this code, and acts."""

import json
from pathlib import Path

import numpy as np
import pytest

from sara_ros.policies import list_models, load_policy, verify, warm_up
from sara_ros.policies.loading import synthetic_observation
from sara_ros.policies.model_card import model_card

MODELS = Path(__file__).parents[2] / 'models'
NAMES = sorted(path.parent.name for path in MODELS.glob('*/policy.json'))


def test_there_is_one_of_each_kind():
    """Both variants ship, and none of the folders is broken."""
    entries = list_models(MODELS)
    assert [entry.error for entry in entries if entry.error] == []
    assert {entry.stored.checkpoint.spec.kind for entry in entries} >= {'rt2', 'pct'}


def test_models_stay_small():
    """A clone must not take long."""
    assert sum(path.stat().st_size for path in MODELS.rglob('*') if path.is_file()) < 40e6


@pytest.mark.parametrize('name', NAMES)
def test_acts(name):
    """Verified, loaded and warmed up, it gives the same action for the same observation."""
    verify(MODELS, name)
    policy = load_policy(MODELS, name)
    warm_up(policy, 1)
    seen = synthetic_observation(policy.spec)
    first, second = policy.act(seen), policy.act(seen)
    np.testing.assert_array_equal(first.values, second.values)
    assert np.isfinite(first.values).all()


@pytest.mark.parametrize('name', NAMES)
def test_card_is_made_from_the_json(name):
    """The model card says what the JSON says, and neither names a machine's folders."""
    text = (MODELS / name / 'policy.json').read_text()
    assert (MODELS / name / 'README.md').read_text() == model_card(json.loads(text))
    assert '/tmp' not in text
    assert '/work' not in text
