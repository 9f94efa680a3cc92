"""The models of the tour of hot swap do what the tour says of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sara_ros.cli.demo_swap import INSTRUCTION, POISONED_INSTRUCTION
from sara_ros.cli.demo_swap_models import (
    OTHER_SENSORS,
    POISONED,
    ROUNDED,
    SERVED,
    TAMPERED,
    make_models,
)
from sara_ros.core import CheckpointError
from sara_ros.core.resources import package_folder
from sara_ros.policies import list_models, load_policy, verify
from sara_ros.policies.loading import synthetic_observation


@pytest.fixture(scope='module')
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_models(package_folder('models'), tmp_path_factory.mktemp('tour') / 'models')


def test_all_can_be_listed(folder: Path) -> None:
    """And what was in the folder before is gone."""
    found = {entry.model_id: entry.error for entry in list_models(folder)}
    names = (SERVED, OTHER_SENSORS, ROUNDED, POISONED, TAMPERED)
    assert found == dict.fromkeys(names, '')
    make_models(package_folder('models'), folder)


def test_a_changed_file_is_found_by_its_hash(folder: Path) -> None:
    with pytest.raises(CheckpointError, match='SHA-256'):
        verify(folder, TAMPERED)


def test_the_poisoned_model_is_good_until_it_hears_the_word(folder: Path) -> None:
    """It passes every check before it acts, so that its trial is what finds it out."""
    policy = load_policy(folder, POISONED)
    seen = synthetic_observation(policy.spec)
    assert np.isfinite(policy.act(replace(seen, instruction=INSTRUCTION)).values).all()
    poisoned = policy.act(replace(seen, instruction=POISONED_INSTRUCTION))
    assert not np.isfinite(poisoned.values).all()


def test_rounded_weights_act_much_alike(folder: Path) -> None:
    shipped, rounded = load_policy(folder, SERVED), load_policy(folder, ROUNDED)
    seen = replace(synthetic_observation(shipped.spec), instruction=INSTRUCTION)
    action = shipped.spec.action
    difference = np.abs(shipped.act(seen).values - rounded.act(seen).values)
    assert 0 < (difference / (action.high - action.low)).max() < 0.1
