"""A run that was stopped goes on as if it had not been."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from sara_ros.core import ParameterError
from sara_ros.policies.checkpoint import read
from sara_ros.training.loop import run_loop
from sara_ros.training.optimiser import Recipe
from sara_ros.training.record import finish_record

MODELS = Path(__file__).parents[2] / 'models'
RECIPE = Recipe(steps=30, batch=8, warm_up_steps=5)


def fresh() -> nn.Sequential:
    """Return a small network with fixed initial weights, and a buffer that training changes."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 1))


def losses_of(network):
    """Return a loss function on a made-up task."""

    def losses(rng: np.random.Generator, batch: int):
        x = torch.from_numpy(rng.normal(size=(batch, 3)).astype(np.float32))
        error = (network(x)[:, 0] - x.sum(dim=1)).square().mean()
        return {'loss': error, 'twice': 2 * error}

    return losses


def run(folder, network=None, recipe=RECIPE, **options):
    """Train in ``folder``."""
    network = network or fresh()
    return run_loop(
        network, losses_of(network), recipe, folder, settings={'a': 1}, save_every=10, **options
    )


def test_resume_is_exact(tmp_path):
    """Stopping at a step and starting again gives the same weights, averages and curve."""
    whole = run(tmp_path / 'whole')
    run(tmp_path / 'parts', until=10)
    parts = run(tmp_path / 'parts')
    assert whole.step == parts.step == 30
    for name, tensor in whole.tensors().items():
        assert torch.equal(tensor, parts.tensors()[name]), name
    curves = [json.loads((tmp_path / n / 'curve.json').read_text()) for n in ('whole', 'parts')]
    assert curves[0]['points'] == curves[1]['points']
    assert [point['step'] for point in curves[0]['points']] == [10, 20, 30]


def test_killed_between_saves(tmp_path):
    """Steps after the last save are done again, with the same result."""
    whole = run(tmp_path / 'whole')
    network = fresh()
    real, count = losses_of(network), iter(range(99))

    def killed(rng, batch):
        if next(count) == 14:
            raise KeyboardInterrupt
        return real(rng, batch)

    with pytest.raises(KeyboardInterrupt):
        run_loop(network, killed, RECIPE, tmp_path / 'a', settings={'a': 1}, save_every=10)
    again = run(tmp_path / 'a')
    for name, tensor in whole.average.items():
        assert torch.equal(tensor, again.average[name]), name


def test_a_loss_that_is_not_finite_ends_the_run(tmp_path):
    """NaN once replaced the last good state of a run; now that state stays."""
    run(tmp_path, until=10)
    before = (tmp_path / 'state.safetensors').read_bytes()

    def broken(rng, batch):
        return {'loss': torch.tensor(float('nan'), requires_grad=True)}

    with pytest.raises(ParameterError, match="loss 'loss' is not finite at step 10"):
        run_loop(fresh(), broken, RECIPE, tmp_path, settings={'a': 1}, save_every=1)
    assert (tmp_path / 'state.safetensors').read_bytes() == before


def test_other_settings_are_refused(tmp_path):
    """A work folder belongs to one run."""
    run(tmp_path, until=10)
    with pytest.raises(ParameterError, match=r'other settings \(recipe\)'):
        run(tmp_path, recipe=Recipe(steps=40, batch=8, warm_up_steps=5))


def test_it_learns_and_leaves_a_record(tmp_path):
    """The loss falls; the record and the picture are there."""
    run(tmp_path, recipe=Recipe(steps=200, batch=32, learning_rate=1e-2, warm_up_steps=5))
    stored = read(MODELS, 'rt2-g1')
    record = json.loads(finish_record(tmp_path, stored, {'recording': 'a'}).read_text())
    assert record['model_id'] == 'rt2-g1'
    assert record['command'].startswith('sara-ros train rt2-g1')
    assert (record['sha256'], record['data']) == (stored.weights['sha256'], {'recording': 'a'})
    assert record['points'][-1]['loss'] < 0.3 * record['points'][0]['loss']
    assert record['machine']['versions']['torch']
    assert (tmp_path / 'loss.png').read_bytes().startswith(b'\x89PNG')


@pytest.mark.parametrize(
    ('number', 'message'),
    [
        ({'steps': 0}, 'steps is 0; must be at least 1'),
        ({'steps': 5, 'batch': 0}, 'batch is 0; must be at least 1'),
        ({'steps': 5, 'warm_up_steps': -1}, 'warm_up_steps is -1; must be at least 1'),
        ({'steps': 5, 'seed': -1}, 'seed is -1; must be from 0 to 4294967295'),
        ({'steps': 5, 'seed': 1 << 64}, 'seed is 18446744073709551616; must be'),
    ],
)
def test_numbers_of_a_recipe_are_checked(number, message):
    """A run of no steps once put untrained weights in the place of a model."""
    with pytest.raises(ParameterError, match=message):
        Recipe(**number)


def test_the_rate_restarts():
    """It comes to zero before each restart, rises to half, and ends at zero."""
    recipe = Recipe(steps=100, learning_rate=1.0, warm_up_steps=2, restarts=(40,))
    rates = [recipe.rate_at(step) for step in range(100)]
    assert rates[1] == pytest.approx(1, abs=0.01)
    assert rates[39] < 0.01
    assert rates[40] == pytest.approx(0.25)
    assert rates[41] == pytest.approx(0.5, abs=0.01)
    assert rates[70] == pytest.approx(0.25)
    assert rates[99] < 0.01
