"""The analysis of the attention backends, from the models to its three files."""

from __future__ import annotations

from dataclasses import replace
import json
from pathlib import Path

import numpy as np
from PIL import Image
import pytest
import torch

from sara_ros.cli.analyze import report
from sara_ros.cli.main import main
from sara_ros.core import ParameterError
from sara_ros.core.resources import package_folder
from sara_ros.evaluation.attention_speed.timing import TimingOptions
from sara_ros.evaluation.attention_theory.activations import MODELS, record_activations
from sara_ros.evaluation.attention_theory.analysis import CROSSING, AnalysisOptions, analyse
from sara_ros.evaluation.attention_theory.kernel import KernelOptions

QUICK = replace(
    CROSSING, seconds=0.1, tokens=(64, 128), head_dims=(32,),
    timing=TimingOptions(warm_up=1, min_rounds=2, max_rounds=3, sample_sec=0.0),
)  # fmt: skip


@pytest.fixture(scope='module')
def result() -> dict:
    """Return a small analysis of the shipped models."""
    kernel = KernelOptions(head_dim=16, draws=100, features=(16, 64))
    options = AnalysisOptions(package_folder('models'), 2, kernel, QUICK)
    return analyse(options)


def found(result: dict, part: str) -> list[dict]:
    """Return the findings whose statement contains ``part``."""
    return [row for row in result['findings'] if part in row['statement']]


def test_every_statement_of_the_theory_is_there(result):
    """Each of the six, and the claims hold."""
    for part in (
        'sara: mean kernel estimate', 'sara: slope', 'folding', 'sum of centred keys',
        'weights of a row', 'negative weights', 'overtakes torch SDPA',
    ):  # fmt: skip
        rows = found(result, part)
        assert rows, part
        assert all(row['holds'] is not False for row in rows), rows


def test_weights_of_the_shipped_models(result):
    """Every replaceable layer of both models is looked at, in the form it uses."""
    rows = result['taylor']['models']
    assert {row['model'] for row in rows} == set(MODELS)
    assert result['taylor']['absent'] == {}
    for row in rows:
        assert row['form'] == ('offset' if row['model'].startswith('pct') else 'forward')
        assert row['observations'] == 2
        assert 0 <= row['negative'] <= row['outside'] <= 1


def test_files(result, tmp_path, capsys):
    """JSON, picture and page, and the same table in the terminal."""
    assert report(result, tmp_path) is True
    assert json.loads((tmp_path / 'analysis.json').read_text())['findings'] == result['findings']
    page = (tmp_path / 'analysis.md').read_text()
    assert page.count('\n| ') == 2 + len(result['findings'])
    assert str(tmp_path) not in page
    with Image.open(tmp_path / 'analysis.png') as image:
        assert np.asarray(image.convert('L')).std() > 10
    assert 'analysis.md' in capsys.readouterr().out


def test_a_claim_that_fails_shows(result, tmp_path, capsys):
    """In the return value and on the page."""
    broken = {**result['findings'][0], 'holds': False}
    assert report({**result, 'findings': [broken]}, tmp_path) is False
    assert '**no**' in (tmp_path / 'analysis.md').read_text()


def test_models_that_are_not_there_are_named(tmp_path):
    """The rest of the analysis does not need them."""
    kernel = KernelOptions(head_dim=4, draws=2, features=(2, 4))
    small = analyse(AnalysisOptions(tmp_path, 1, kernel, QUICK))
    assert set(small['taylor']['absent']) == set(MODELS)
    assert small['taylor']['models'] == []


@pytest.mark.parametrize('model_id', MODELS)
def test_recording_changes_nothing(model_id):
    """The layers get what they get without it: one set of queries and keys an observation."""
    seen = record_activations(package_folder('models'), model_id, 2)
    again = record_activations(package_folder('models'), model_id, 2)
    layers = {row.layer for row in seen}
    assert len(seen) == 2 * len(layers)
    for first, second in zip(seen, again, strict=True):
        assert first.layer == second.layer
        assert torch.equal(first.q, second.q)
        assert torch.equal(first.k, second.k)
    assert not torch.equal(seen[0].q, seen[1].q)


@pytest.mark.parametrize(
    ('option', 'message'),
    [
        ('--seconds', 'seconds is 0.0; must be above 0'),
        ('--observations', 'observations is 0; must be at least 1'),
        ('--threads', '--threads is 0; must be at least 1'),
    ],
)
def test_wrong_options(tmp_path: Path, capsys, option, message):
    """Named before anything is computed."""
    assert main(['analyze', '--out', str(tmp_path / 'new'), option, '0']) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / 'new').exists()


def test_observations_are_checked_where_they_are_used():
    """The library refuses what the command refuses."""
    with pytest.raises(ParameterError, match='observations is 0'):
        AnalysisOptions(Path('models'), observations=0)
