"""The benchmark of the attention backends: what it writes, not how fast anything is."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

from PIL import Image
import pytest
import torch

from sara_ros.evaluation.attention_speed.benchmark import (
    BASELINES,
    FAMILIES,
    QUICK,
    BenchmarkOptions,
    cells,
)
from sara_ros.evaluation.attention_speed.contenders import FOLDED, SDPA, timed_backends
from sara_ros.evaluation.attention_speed.peers import PEERS

ROOT = Path(__file__).parents[2]
SCRIPT = 'attention'


@pytest.fixture(scope='module')
def out(script: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the JSON of a quick run; one thread does not wait for another on a busy machine."""
    path = tmp_path_factory.mktemp('bench') / 'attention.json'
    before = torch.get_num_threads()
    assert script.main(['--quick', '--threads', '1', '--out', str(path)]) == 0
    torch.set_num_threads(before)
    return path


@pytest.fixture(scope='module')
def result(out: Path) -> dict:
    """Return what the quick run wrote."""
    return json.loads(out.read_text())


def test_conditions_are_stated(result):
    """Without the machine, versions and counts a ratio means nothing."""
    machine = result['machine']
    assert machine['cpu']
    assert {'logical_cores', 'torch', 'load_average'} <= set(machine)
    assert machine['threads'] == 1
    assert set(result['peers']['versions']) == {peer.package for peer in PEERS}
    assert 'pip install' in result['peers']['install']
    assert result['settings']['timing']['warm_up'] == QUICK.timing.warm_up
    assert result['settings']['backends'] == list(timed_backends())
    assert result['seconds'] > 0


def test_every_cell_is_there(result):
    """Two sizes of each family and dtype, in order."""
    measured = [(c['family'], c['size'], c['head_dim'], c['dtype']) for c in result['cells']]
    assert measured == [(c.family, c.size, c.head_dim, c.dtype) for c in cells(QUICK)]
    assert {family for family, *_ in measured} == set(FAMILIES)


def test_every_contender_has_ratios_or_a_reason(result):
    """Quartiles are ordered, the baseline's ratio is one, nobody is missing."""
    expected = set(timed_backends())
    for cell in result['cells']:
        assert not expected - set(cell['contenders']) - set(cell['left_out'])
        assert cell['baseline'] == BASELINES[cell['family']]
        assert cell['contenders'][cell['baseline']]['speedup']['median'] == 1.0
        assert QUICK.timing.min_rounds <= cell['rounds'] <= QUICK.timing.max_rounds
        for row in cell['contenders'].values():
            for values in (row['speedup'], row['time_us']):
                assert 0 < values['q25'] <= values['median'] <= values['q75']
            assert row['calls_per_sample'] >= 1


def test_backends_and_peers_are_in_the_bidirectional_cells(result):
    """All of the registry, SARA folded as well; peers are timed or said to be missing."""
    for cell in result['cells']:
        if cell['family'] == 'bidirectional':
            assert {*timed_backends(), 'sara' + FOLDED, SDPA, 'naive'} <= set(cell['contenders'])
            for peer in PEERS:
                assert peer.package in cell['contenders'] or cell['left_out'][peer.package]


def test_outputs_were_checked_before_timing(result):
    """In f32 the linear backends agree with their naive references."""
    for cell in result['cells']:
        if cell['family'] != 'pct_layer' and cell['dtype'] == 'float32':
            for name in ('sara', 'sara' + FOLDED, 'taylor', 'uniform'):
                assert cell['contenders'][name]['reference_error'] < 1e-3


def test_plot(out):
    """The picture has a panel for each family, head size and dtype."""
    with Image.open(out.with_suffix('.png')) as image:
        assert image.width > 1000
        assert image.height > 700


def test_page_is_made_from_the_json(script, out, tmp_path, capsys):
    """Conditions, expectations and one table a panel; its sources lie beside it."""
    assert script.main(['--table', '--out', str(out), '--docs', str(tmp_path)]) == 0
    page = (tmp_path / 'attention-benchmark.md').read_text()
    assert '| Measurement | Backend | Expected | Measured | Met |' in page
    assert page.count('Times as fast as') == 10
    for name in ('attention-benchmark.json', 'attention-benchmark.png'):
        assert name in page
        assert (tmp_path / name).is_file()
    assert str(tmp_path) not in page
    assert 'attention-benchmark.md' in capsys.readouterr().out


def test_page_in_docs_is_up_to_date(script, tmp_path):
    """The table in docs is what the JSON beside it says."""
    source = ROOT / 'docs/attention-benchmark.json'
    if not source.is_file():
        pytest.skip('docs/attention-benchmark.json is not there: make bench-attention, --table')
    page = script.publish(source, tmp_path)
    assert page.read_text() == (ROOT / 'docs/attention-benchmark.md').read_text()


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['--quick', '--backends', 'quick'], "unknown attention backend 'quick'"),
        (['--quick', '--seconds', '0'], 'seconds is 0.0; must be above 0'),
        (['--quick', '--threads', '-1'], '--threads is -1'),
        (['--table', '--out', 'absent.json'], 'does not exist; run the benchmark first'),
    ],
)
def test_wrong_options(script, tmp_path, monkeypatch, capsys, arguments, message):
    """One line that names the option; nothing is written."""
    monkeypatch.chdir(tmp_path)
    assert script.main(arguments) == 1
    assert message in capsys.readouterr().err
    assert not any(tmp_path.iterdir())


def test_full_grid():
    """What the product is measured on."""
    grid = cells(BenchmarkOptions())
    sizes = {cell.size for cell in grid if cell.family == 'bidirectional'}
    assert sizes == {64, 128, 197, 256, 400, 784, 1024, 2048, 4096, 8192, 16384}
    assert {cell.head_dim for cell in grid if cell.family == 'bidirectional'} == {32, 64}
    assert {cell.size for cell in grid if cell.family == 'pct'} >= {256, 1024, 4096, 8192}
    for family in ('history', 'history_vit'):
        assert {cell.size for cell in grid if cell.family == family} == {1, 2, 4, 8, 16, 32, 64}
    assert {cell.dtype for cell in grid} == {'float32', 'bfloat16'}
