"""The table of up-trained backends: one row each, from runs that took place."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import pytest
from uptraining.toys import write_frames, write_model

ROOT = Path(__file__).parents[2]
SCRIPT = 'uptraining'
BACKENDS = ('taylor', 'window+linear')


@pytest.fixture(scope='module')
def docs(script: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the page of a toy of the PCT kind."""
    root = tmp_path_factory.mktemp('table')
    write_model(root / 'models', 'pct')
    write_frames(root / 'work/toy', 'pct')
    options = {
        '--models': 'toy', '--models-dir': root / 'models', '--work': root / 'work',
        '--out': root / 'out', '--docs': root / 'docs', '--transfer-steps': 1,
        '--finetune-steps': 1, '--held-out': 12,
    }  # fmt: skip
    arguments = [str(each) for pair in options.items() for each in pair]
    assert script.main([*arguments, '--backends', *BACKENDS]) == 0
    return root / 'docs'


def test_rows_hold_every_stage_beside_the_control(docs: Path):
    """What the table shows is in the JSON, and a backend without the form says why."""
    taylor, window = json.loads((docs / 'uptraining.json').read_text())['rows']
    assert taylor['backend'] == 'taylor'
    assert {'softmax', 'softmax_control', 'converted', 'finetuned'} <= set(taylor['held_out'])
    assert window['backend'] == 'window+linear'
    assert 'held_out' in window or 'form' in window['why']


def test_the_page_has_a_line_for_each_backend(docs: Path):
    """Every backend has a row and a verdict or the reason why it has none."""
    page = (docs / 'uptraining.md').read_text()
    assert '| softmax control |' in page
    assert all(f'| `{backend}` |' in page for backend in BACKENDS)
    assert 'Within 2 % of the control:' in page


def test_the_page_in_docs_is_made_from_its_json(script: ModuleType):
    """A page edited by hand, or a change of the script, would tell other numbers."""
    rows = json.loads((ROOT / 'docs/uptraining.json').read_text())['rows']
    assert (ROOT / 'docs/uptraining.md').read_text() == script.page(rows)


def test_verdicts_name_what_is_not_within_two_percent(script: ModuleType):
    """The table says plainly which backend lost quality."""
    errors = {'loss': 1.0, 'action_error': 0.1}
    row = {
        'parent': {'model_id': 'm'}, 'backend': 'uniform',
        'held_out': {
            'softmax': errors, 'softmax_control': errors,
            'finetuned': {'loss': 1.021, 'action_error': 0.1},
        },
    }  # fmt: skip
    assert 'Not within 2 %: `uniform` (1.021).' in script.page([row])


def test_a_control_that_keeps_the_loss_is_pointed_out(script: ModuleType):
    """Where the mean of all values is as good, the loss is no measure of attention."""

    def row(backend, loss):
        errors = {'loss': 1.0, 'action_error': 0.1}
        return {
            'parent': {'model_id': 'm'}, 'backend': backend,
            'held_out': {
                'softmax': errors, 'softmax_control': errors,
                'finetuned': {'loss': loss, 'action_error': 0.1},
            },
        }  # fmt: skip

    page = script.page([row('sara', 1.01), row('window+linear', 1.004), row('uniform', 1.01)])
    assert '`uniform` gives every token' in page
    assert 'buys 0.60 points of loss over `sara`' in page
    assert 'gives every token' not in script.page([row('uniform', 1.03)])
