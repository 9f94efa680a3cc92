"""The success table: which models are rows, what is compared, and how it is shown."""

from __future__ import annotations

from dataclasses import replace
import json
from pathlib import Path
import shutil

from matplotlib.container import BarContainer
from policies import small_models
import pytest
import torch

from sara_ros.cli.main import main
from sara_ros.core import ParameterError
from sara_ros.evaluation.closed_loop import EvaluationConfig
from sara_ros.evaluation.closed_loop_episode import Outcome
from sara_ros.evaluation.piece_store import PieceStore
from sara_ros.evaluation.success import SuccessPlan, measure_success, rounds_for
from sara_ros.evaluation.success_join import joined
from sara_ros.evaluation.success_models import (
    COLUMNS,
    CONTROL,
    control_of,
    find_variants,
    variant_of,
)
from sara_ros.evaluation.success_page import success_page, success_table
from sara_ros.evaluation.success_plot import success_figure, success_png
from sara_ros.policies import checkpoint as checkpoints
from sara_ros.policies.checkpoint import Checkpoint
from sara_ros.policies.loading import build_network
from sara_ros.sim.suites import SUITES, Suite

STANDARD = SUITES['standard']
ROUNDS = 2


def _child(models: Path, parent: Checkpoint, name: str, backend: str) -> None:
    """Save a model as up-training does."""
    spec = replace(parent.spec, model_id=name, attention={'backend': backend, 'options': {}})
    child = replace(
        parent, spec=spec, parent={'model_id': parent.spec.model_id},
        training={'uptraining': {'backend': backend}},
    )  # fmt: skip
    torch.manual_seed(1)
    checkpoints.save(models, child, build_network(child).state_dict())


@pytest.fixture(scope='module')
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a model, its control, two children, a larger one and a broken one."""
    folder = tmp_path_factory.mktemp('models')
    parent = small_models.make(folder, 'rt2', 'base')
    _child(folder, parent, 'base-again', 'softmax')
    _child(folder, parent, 'base-sara', 'sara')
    _child(folder, parent, 'base-uniform', 'uniform')
    larger = small_models.make(folder, 'rt2', 'larger', encoder_layers=3)
    tensors = build_network(larger).state_dict()
    checkpoints.save(folder, replace(larger, parent={'model_id': 'base'}), tensors)
    (folder / 'broken').mkdir()
    return folder


def _fill(store: PieceStore, models: Path, rates: dict[str, int], suite: Suite) -> None:
    """Store outcomes in which every ``rates[model]``-th episode fails."""
    for variant in find_variants(models)[0]:
        config = EvaluationConfig(
            models, variant.model_id, suite=suite, episodes=ROUNDS, identity=variant.identity
        )
        for index, piece in enumerate(config.pieces):
            outcomes = []
            for number, job in enumerate(piece.jobs):
                task = suite.task(*job)
                good = number % rates.get(variant.model_id, 2) != 0
                outcomes.append(Outcome(task.name, task.verb, *job, good, True, 20))
            store.put(config.key, index, outcomes)


@pytest.fixture(scope='module')
def result(models: Path, tmp_path_factory: pytest.TempPathFactory) -> dict:
    """Return the table of stored outcomes; nothing is played."""
    store = PieceStore(tmp_path_factory.mktemp('pieces'))
    rates = {'base': 8, 'base-again': 16, 'base-sara': 8, 'base-uniform': 2}
    _fill(store, models, rates, STANDARD)
    _fill(store, models, dict.fromkeys(rates, 4), SUITES['lighting'])
    seen = []
    plan = SuccessPlan(models, (STANDARD, SUITES['lighting']), ROUNDS * 16)
    table = measure_success(plan, store, on_row=seen.append)
    assert len(seen) == len(table['rows'])
    return table


def test_models_find_their_row_and_their_control(models: Path) -> None:
    variants, skipped = find_variants(models)
    found = {v.model_id: (v.policy, v.backend) for v in variants}
    assert found == {
        'base': ('base', 'softmax'),
        'base-again': ('base', CONTROL),
        'base-sara': ('base', 'sara'),
        'base-uniform': ('base', 'uniform'),
        'larger': ('larger', 'softmax'),
    }
    assert [v.backend for v in variants if v.policy == 'base'] == [
        'softmax', CONTROL, 'sara', 'uniform',
    ]  # fmt: skip
    by_name = {v.model_id: v for v in variants}
    assert control_of(by_name['base-sara'], variants) == by_name['base-again']
    assert control_of(by_name['base'], variants) is None
    assert 'policy.json' in skipped['broken']


def test_what_a_model_does_depends_on_more_than_its_weights(models: Path, tmp_path: Path) -> None:
    """Results of another way to decode were once taken for those of the model."""
    shutil.copytree(models / 'base', tmp_path / 'base')
    path = tmp_path / 'base/policy.json'
    path.write_text(path.read_text().replace('"decode": "argmax"', '"decode": "expectation"'))
    first, second = variant_of(models, 'base'), variant_of(tmp_path, 'base')
    assert first.sha256 == second.sha256
    assert first.identity != second.identity


def test_rows_hold_what_was_counted(result: dict) -> None:
    row = next(r for r in result['rows'] if r['model_id'] == 'base' and r['suite'] == 'standard')
    assert (row['policy'], row['backend'], row['episodes']) == ('base', 'softmax', 32)
    assert row['success'] == 28 / 32
    assert row['ci95'][0] < row['success'] < row['ci95'][1]
    assert sum(task['episodes'] for task in row['per_task'].values()) == 32
    assert len(row['per_task']) == 16
    assert row['seeds'][0] >= 500_000


def test_differences_are_between_the_same_episodes(result: dict) -> None:
    rows = {(row['model_id'], row['suite']): row for row in result['rows']}
    against = rows['base-sara', 'standard']['against_control']
    assert (against['model_id'], against['episodes']) == ('base-again', 32)
    assert against['difference'] == pytest.approx(-2 / 32, abs=1e-4)
    assert against['ci95'][0] < against['difference'] < against['ci95'][1]
    assert rows['base', 'standard']['against_control'] is None
    gap = rows['base', 'lighting']['against_standard']
    assert gap['difference'] == pytest.approx(-4 / 32, abs=1e-4)
    assert rows['base', 'standard']['against_standard'] is None


def test_rounds_cover_the_episodes() -> None:
    assert rounds_for(STANDARD, 500) * 16 == 512
    assert rounds_for(SUITES['harder'], 500) * 18 == 504
    with pytest.raises(ParameterError, match='episodes is 0'):
        rounds_for(STANDARD, 0)


def test_depth_noise_is_for_those_who_see_depth(models: Path, tmp_path: Path) -> None:
    plan = SuccessPlan(models, (SUITES['depth-noise'],), 16)
    assert measure_success(plan, PieceStore(tmp_path))['rows'] == []


def test_no_model_to_play_says_why(models: Path, tmp_path: Path) -> None:
    plan = SuccessPlan(models, (STANDARD,), policies=('elsewhere',))
    with pytest.raises(ParameterError, match=r'no model of elsewhere in .*broken: '):
        measure_success(plan, PieceStore(tmp_path))


def test_the_table_has_a_column_for_every_backend(result: dict) -> None:
    lines = success_table(result, ['standard']).splitlines()
    assert lines[0] == '| policy | suite | ' + ' | '.join(COLUMNS) + ' |'
    assert lines[2].startswith('| `base` | standard | 87.5 (')
    assert '<br>-6.2 (' in lines[2]
    assert lines[2].count(' - |') == 2
    assert 'lighting' not in '\n'.join(lines)


def test_the_page_shows_gaps_tasks_and_what_was_not_played(result: dict) -> None:
    page = success_page(result, 'success.png', 'success.json')
    assert '| `base` | -12.5 (' in page
    assert '### lighting' in page
    assert '| lift the red block | 0/2 |' in page
    assert '| lift the green block | 2/2 |' in page
    assert '- `broken`: ' in page
    assert '/tmp' not in page


def test_the_picture_has_a_bar_a_row_in_the_colour_of_its_backend(result: dict) -> None:
    """A policy without a backend once gave the legend another colour than the bars."""
    rows = result['rows']
    figure = success_figure(rows)
    legend = figure.legends[0]
    names = [text.get_text() for text in legend.get_texts()]
    assert set(names) == {row['backend'] for row in rows}
    colors = {
        name: handle.get_facecolor()
        for name, handle in zip(names, legend.legend_handles, strict=True)
    }
    for axes in figure.axes:
        own = [row for row in rows if row['policy'] == axes.get_title(loc='left')]
        bars = {
            bars.get_label(): bars.patches
            for bars in axes.containers
            if isinstance(bars, BarContainer)
        }
        found = {(name, bar.get_height()) for name, each in bars.items() for bar in each}
        assert found == {(row['backend'], row['success']) for row in own}
        for name, each in bars.items():
            assert {bar.get_facecolor() for bar in each} == {colors[name]}
        assert axes.get_ylim() == (0, 1)
    assert success_png(rows).startswith(b'\x89PNG')


def test_the_command_plays_writes_and_resumes(
    models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One real episode of each slot; the second time nothing is played."""
    out = tmp_path / 'out'
    given = ['evaluate', '--all', '--policy', 'larger', '--suite', 'new-tasks', '--episodes', '2',
             '--models', str(models), '--out', str(out)]  # fmt: skip
    assert main(given) == 0
    written = json.loads((out / 'success.json').read_text())
    (row,) = written['rows']
    assert (row['policy'], row['suite'], row['episodes']) == ('larger', 'new-tasks', 2)
    assert row['act_ms']['p50'] > 0
    assert written['command'].startswith('sara-ros evaluate --all --policy larger')
    assert '# Closed-loop success' in (out / 'success.md').read_text()
    pieces = {path: path.stat().st_mtime_ns for path in out.rglob('000.json')}
    assert len(pieces) == 1
    assert main(given) == 0
    assert {path: path.stat().st_mtime_ns for path in out.rglob('000.json')} == pieces
    assert 'not played: broken' in capsys.readouterr().out


def test_a_later_run_adds_its_rows_to_the_table(result: dict) -> None:
    """What it compared is paired; what is of two runs is compared by counts."""
    weights = {row['model_id']: row['sha256'] for row in result['rows']}
    standard, lighting = (
        {**result, 'rows': [row for row in result['rows'] if row['suite'] == suite]}
        for suite in ('standard', 'lighting')
    )
    apart = [{**row, 'against_standard': None} for row in lighting['rows']]
    both = joined({**lighting, 'rows': apart}, standard, weights)
    strip = [{**row, 'against_standard': None} for row in result['rows']]
    assert [{**row, 'against_standard': None} for row in both['rows']] == strip
    gap = next(row['against_standard'] for row in both['rows'] if row['suite'] == 'lighting')
    assert (gap['difference'], gap['paired']) == (pytest.approx(-4 / 32, abs=1e-4), False)
    assert ', not paired |' in success_page(both, 'success.png', 'success.json')
    assert joined(result, standard, weights)['rows'] == result['rows']


def test_rows_of_other_weights_leave_the_table(result: dict) -> None:
    none = {**result, 'rows': []}
    weights = {'base': 'other', 'larger': 'other'}
    kept = {row['model_id'] for row in joined(result, none, weights)['rows']}
    assert kept == {'base-again', 'base-sara', 'base-uniform'}


def test_rows_say_which_machine_they_are_of(result: dict) -> None:
    there = {**result['machines'][0], 'cpu': 'Abacus', 'logical_cores': 10}
    rows = [row for row in result['rows'] if row['suite'] == 'standard']
    later = {**result, 'rows': [row for row in result['rows'] if row['suite'] == 'lighting']}
    both = joined({**result, 'rows': rows, 'machines': [there]}, later, {})
    assert [both['machines'][row['machine']]['cpu'] for row in both['rows']] == [
        'Abacus' if row['suite'] == 'standard' else result['machines'][0]['cpu']
        for row in result['rows']
    ]
    page = success_page(both, 'success.png', 'success.json')
    assert 'Abacus, 10 cores; ' in page
    assert 'cores for `base` (lighting), `base-again` (lighting)' in page


def test_the_command_adds_to_the_table(models: Path, tmp_path: Path) -> None:
    given = ['evaluate', '--all', '--suite', 'new-tasks', '--episodes', '2',
             '--models', str(models), '--out', str(tmp_path)]  # fmt: skip
    for policy in ('larger', 'base-sara'):
        assert main([*given, '--policy', policy]) == 0
    rows = json.loads((tmp_path / 'success.json').read_text())['rows']
    assert [row['model_id'] for row in rows] == ['base-sara', 'larger']
    assert all(row['act_ms']['count'] for row in rows)


def test_the_result_of_one_model_says_what_was_done(models: Path, tmp_path: Path) -> None:
    given = ['evaluate', 'larger', '--suite', 'new-tasks', '--episodes', '2',
             '--models', str(models), '--out', str(tmp_path)]  # fmt: skip
    assert main(given) == 0
    written = json.loads((tmp_path / 'larger-new-tasks.json').read_text())
    assert written['command'] == 'sara-ros evaluate larger --suite new-tasks --episodes 2'
    assert (written['episodes'], written['seeds'][0]) == (2, 500_000)
    assert written['machine']['cpu']


@pytest.mark.parametrize('text', ['', '[]', '{}', '{"schema": "sara_ros.success/1"}'])
def test_a_file_that_is_no_table_is_left_alone(
    models: Path, tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / 'success.json'
    path.write_text(text)
    given = ['evaluate', '--all', '--models', str(models), '--out', str(tmp_path)]
    assert main(given) == 1
    assert 'success.json is ' in capsys.readouterr().err
    assert path.read_text() == text


@pytest.mark.parametrize(
    ('given', 'message'),
    [
        ([], 'name a model, or give --all'),
        (['base', '--all'], "--all plays every model, and 'base' names one"),
        (['base', '--suite', 'easy'], "no suite 'easy'; known: standard, harder"),
        (['base', '--suite', 'standard', '--suite', 'harder'], 'one suite at a time'),
        (['--all', '--record'], '--record is for one model'),
        (['base', '--choose', '--record'], '--record is for results'),
        (['nobody'], "model 'nobody' not found"),
        (['base', '--workers', '0'], 'workers is 0'),
    ],
)
def test_wrong_usage(
    models: Path, tmp_path: Path, given: list[str], message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    places = ['--models', str(models), '--out', str(tmp_path)]
    assert main(['evaluate', *given, *places]) == 1
    assert message in capsys.readouterr().err
