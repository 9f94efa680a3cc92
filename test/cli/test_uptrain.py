"""``sara-ros uptrain``: what it prints, and one clear line for a wrong value."""

from __future__ import annotations

import json
from pathlib import Path
import shlex

import pytest
from training.test_bad_input import files, full_disk
from uptraining.toys import write_frames, write_model

from sara_ros.cli.main import main
from sara_ros.cli.train import without_places
from sara_ros.cli.uptrain import parse_layers, parse_options
from sara_ros.core import ParameterError


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    write_model(tmp_path / 'models', 'rt2')
    return tmp_path


def run(toy: Path, *more: str) -> int:
    places = ('--models', str(toy / 'models'), '--work', str(toy / 'work'), '--threads', '1')
    return main(['uptrain', 'toy', *places, *more])


def test_table_and_command(toy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every variant has a row; the model states what was typed, without folders."""
    write_frames(toy / 'work', 'rt2')
    options = (
        '--backend', 'sara', '--option', 'function=exp', '--option', 'features=8', '--layers',
        '1', '--transfer-steps', '2', '--finetune-steps', '2', '--batch', '2', '--held-out', '12',
        '--name', 'new',
    )  # fmt: skip
    assert run(toy, *options) == 0
    printed = capsys.readouterr().out
    for text in (
        'softmax control', 'converted', 'transferred', 'fine-tuned', 'encoder.1', '1 of 2 layers',
    ):  # fmt: skip
        assert text in printed
    data = json.loads((toy / 'models' / 'new' / 'policy.json').read_text())
    assert data['training']['command'] == shlex.join(['sara-ros', 'uptrain', 'toy', *options])
    assert data['spec']['attention']['options']['features'] == 8
    control = next(line for line in printed.splitlines() if '│ softmax control' in line)
    assert control.count('1.000') == 2


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (('--backend', 'fast'), "unknown attention backend 'fast'; known: softmax"),
        (('--backend', 'sara', '--option', 'speed=3'), "no option 'speed'"),
        (('--backend', 'sara', '--option', 'function'), "--option is 'function'; write it as"),
        (('--backend', 'sara', '--layers', '0,7'), 'there is no attention layer 7; known: 0, 1'),
        (('--backend', 'sara', '--layers', 'all'), "--layers is 'all'; give indices"),
        (('--backend', 'sara', '--batch', '0'), 'batch is 0; must be at least 2'),
        (('--backend', 'sara', '--lr', '-1'), 'learning_rate (--lr) is -1.0; must be above 0'),
        (('--backend', 'sara', '--name', 'toy'), "name is 'toy'"),
    ],
)
def test_wrong_values(
    toy: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str
) -> None:
    """One line, exit code 2, and no folder is made."""
    assert run(toy, *arguments) == 2
    printed = capsys.readouterr().err
    assert message in printed
    assert printed.startswith('sara-ros uptrain: ')
    assert printed.count('\n') == 1
    assert not (toy / 'work').exists()


def test_backend_is_asked_for(toy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run(toy)
    assert ended.value.code == 2
    assert '--backend' in capsys.readouterr().err


def test_absent_model(toy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(['uptrain', 'absent', '--backend', 'sara', '--models', str(toy)]) == 1
    assert "model 'absent' not found" in capsys.readouterr().err


def test_disk_that_is_full(toy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is no wrong usage, which is what its exit code said."""
    with full_disk(100):
        assert run(toy, '--backend', 'sara') == 1
    said = capsys.readouterr().err
    assert 'uptrain/toy-sara/settings.json cannot be written' in said
    assert 'give the same command again' in said
    assert files(toy / 'work') == []


def test_options() -> None:
    """Numbers and flags become what they mean; any other text stays text."""
    parsed = parse_options(['features=8', 'function=exp', 'sparse=true', 'share=0.5', 'a=b=c'])
    assert parsed == {
        'features': 8, 'function': 'exp', 'sparse': True, 'share': 0.5, 'a': 'b=c',
    }  # fmt: skip
    with pytest.raises(ParameterError, match="--option 'a' is given twice"):
        parse_options(['a=1', 'a=2'])
    assert parse_layers('') is None
    assert parse_layers('2,0') == (2, 0)


def test_the_recorded_command_names_no_folder_of_this_machine():
    """What changes the weights stays."""
    typed = (
        "sara-ros uptrain a --backend 'window+linear' --models /here --work=/there --threads 1 "
        '--seed 3'
    )
    assert without_places(typed) == 'sara-ros uptrain a --backend window+linear --seed 3'
