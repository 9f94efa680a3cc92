"""What ``sara-ros train`` says at the end."""

from pathlib import Path

import pytest

from sara_ros.cli import train
from sara_ros.cli.main import main
from sara_ros.cli.train import held_out_table


def test_held_out_error_beside_the_baselines():
    """All three are stated with the model's own, on the same frames."""
    baselines = {'training_mean': 0.086, 'copy_state': 0.0192, 'copy_previous_action': 0.00213}
    metrics = {
        'mean_absolute_error': 0.0188, 'held_out_frames': 711, 'baselines': baselines
    }  # fmt: skip
    assert held_out_table(metrics).splitlines() == [
        'mean absolute error on 711 held-out frames',
        'this model            0.0188',
        'training mean         0.0860',
        'copy state            0.0192',
        'copy previous action  0.0021',
    ]


def test_a_model_that_another_begins_with_is_trained_first(tmp_path, monkeypatch, capsys):
    """One command makes it all, once: the second run finds the first model."""
    runs = []

    def trained(config, bar):
        runs.append(config)
        (config.models_dir / config.model_id).mkdir(parents=True, exist_ok=True)
        return config.models_dir / config.model_id

    monkeypatch.setattr(train, 'train_tabletop', trained)
    monkeypatch.chdir(tmp_path)
    given = ['--models', 'models', '--threads', '1']
    assert main(['train', 'rt2-tabletop', *given]) == 0
    said = "'rt2-tabletop' begins with 'rt2-tabletop-standard', which is trained first"
    assert said in capsys.readouterr().out
    assert [(run.model_id, run.work, run.threads) for run in runs] == [
        (name, Path('out/train') / name, 1) for name in ('rt2-tabletop-standard', 'rt2-tabletop')
    ]
    assert runs[0].command == 'sara-ros train rt2-tabletop-standard'
    assert main(['train', 'rt2-tabletop-784', *given]) == 0
    assert [run.model_id for run in runs[2:]] == ['rt2-tabletop-784']
    assert main(['train', 'rt2-tabletop-784', *given, '--seed', '3']) == 0
    assert [run.recipe.seed for run in runs] == [0, 0, 0, 3]
    assert runs[3].command == 'sara-ros train rt2-tabletop-784 --seed 3'


@pytest.mark.parametrize('recipe', ['rt2-tabletop', 'rt2-g1'])
@pytest.mark.parametrize(
    ('given', 'message'),
    [
        (('--steps', '-1'), 'steps is -1; must be at least 1'),
        (('--threads', '0'), 'threads is 0; must be at least 1'),
        (('--seed', '-1'), 'seed is -1; must be from 0'),
    ],
)
def test_numbers_that_cannot_be_used_leave_everything_as_it_is(
    tmp_path, monkeypatch, capsys, recipe, given, message
):
    """-1 steps once replaced a model by untrained weights, and ended in a traceback."""
    monkeypatch.chdir(tmp_path)
    data = ('--data', 'recording') if recipe == 'rt2-g1' else ()
    assert main(['train', recipe, '--models', 'models', *data, *given]) == 1
    assert f'sara-ros train: {message}' in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
