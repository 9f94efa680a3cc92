"""The command line: exit codes and messages."""

from __future__ import annotations

from pathlib import Path

import pytest
from training.test_bad_input import files, full_disk
from uptraining.toys import write_model

from sara_ros.cli.main import main


def test_unknown_command_lists_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(['dmeo'])
    assert ended.value.code == 2
    assert 'demo-real' in capsys.readouterr().err


def test_unknown_recipe_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(['train', 'rt9', '--models', str(tmp_path)]) == 1
    message = capsys.readouterr().err
    assert "'rt9'" in message
    assert 'rt2-tabletop' in message
    assert 'Traceback' not in message


def test_recording_recipe_asks_for_data(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(['train', 'rt2-g1', '--models', str(tmp_path)]) == 1
    assert '--data' in capsys.readouterr().err


def test_models_says_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / 'broken').mkdir()
    (tmp_path / 'broken' / 'policy.json').write_text('{')
    assert main(['models', '--models', str(tmp_path)]) == 1
    said = capsys.readouterr().out
    assert 'broken' in said
    assert '0 of 1 models verified' in said


def test_models_are_named_in_full(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a narrow terminal too: the names are what other commands take."""
    monkeypatch.setenv('COLUMNS', '80')
    name = 'rt2-tabletop-window+linear'
    write_model(tmp_path, 'rt2', name)
    assert main(['models', '--models', str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert name in said
    assert '1 of 1 models verified' in said


def test_disk_that_is_full_at_the_results(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file was not named."""
    counts = {'success': 0.5, 'successes': 8, 'episodes': 16, 'ci95': [0.28, 0.72]}
    played = {**counts, 'per_verb': {'reach': counts}}
    monkeypatch.setattr('sara_ros.cli.evaluate.evaluate', lambda *_, **__: played)
    path = tmp_path / 'found.json'
    with full_disk(100):
        assert main(['evaluate', 'scripted_expert', '--json', str(path)]) == 1
    said = capsys.readouterr().err
    assert f'{path} cannot be written' in said
    assert 'Make room' in said
    assert files(tmp_path) == []


def test_evaluating_an_absent_model_fails_clearly(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(['evaluate', 'absent', '--models', str(tmp_path)]) == 1
    message = capsys.readouterr().err
    assert "'absent'" in message
    assert 'Traceback' not in message


@pytest.mark.skipif(not Path('/sys').is_dir(), reason='needs a folder that nobody can write to')
def test_a_folder_that_takes_no_files_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(['demo', '--out', '/sys/sara-ros-demo']) == 1
    message = capsys.readouterr().err
    assert '/sys/sara-ros-demo' in message
    assert 'Traceback' not in message
