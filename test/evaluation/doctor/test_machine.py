"""Checks of interpreter, packages, libraries, GPU and models, each with something broken."""

from __future__ import annotations

import json
from pathlib import Path
import shutil

import pytest

from sara_ros.core.health import Level
from sara_ros.core.resources import package_folder
from sara_ros.evaluation.doctor import machine, stored_models
from sara_ros.evaluation.doctor.probe import attempt

ROOT = Path(__file__).parents[3]
TRAINING_ONLY = {'gymnasium', 'transformers', 'peft', 'accelerate'}
DRIVER = 'NVRM version: NVIDIA UNIX x86_64 Kernel Module 550.54'


def test_an_old_python_is_refused():
    assert machine.check_python().level == Level.OK
    found = machine.check_python((3, 9))
    assert found.level == Level.ERROR
    assert 'Python 3.9' in found.seen
    assert 'PYTHON=' in found.advice


def test_a_missing_package_is_named_with_its_distribution():
    assert machine.check_packages({'json': 'json'}).level == Level.OK
    found = machine.check_packages({'json': 'json', 'none_such': 'none-such-python'})
    assert found.level == Level.ERROR
    assert 'pip install none-such-python' in found.advice


def test_the_requirements_are_what_the_doctor_looks_for():
    """It used to find nothing wrong where replays and data sets lacked pyarrow and av."""
    lines = (ROOT / 'requirements' / 'runtime.txt').read_text().splitlines()
    required = {line.split('==')[0] for line in lines if '==' in line}
    assert set(machine.PACKAGES.values()) == required - TRAINING_ONLY
    assert machine.check_packages().level == Level.OK


def test_a_missing_library_names_its_user_and_the_apt_command(tmp_path):
    table = tmp_path / 'os_libraries.json'
    none_such = {'package': 'none-such9', 'needed_by': 'open3d'}
    table.write_text(json.dumps({'libnone-such.so.9': none_such}))
    found = machine.check_os_libraries(table)
    assert found.level == Level.ERROR
    assert 'libnone-such.so.9 (for open3d)' in found.seen
    assert found.advice == 'sudo apt-get install --yes none-such9'
    table.write_text(json.dumps({'libnone-such.so.9': {**none_such, 'needed_by': 'mujoco'}}))
    assert machine.check_os_libraries(table).level == Level.WARN


def test_a_broken_list_of_libraries_is_told_of(tmp_path):
    found = machine.check_os_libraries(tmp_path / 'absent.json')
    assert found.level == Level.ERROR
    assert 'absent.json' in found.seen


def test_the_bootstrap_installs_what_the_doctor_looks_for():
    from environment.os_libraries import LIBRARIES

    table = json.loads((package_folder('config') / 'os_libraries.json').read_text())
    assert {each: entry['package'] for each, entry in table.items()} == LIBRARIES
    assert {entry['needed_by'] for entry in table.values()} == {'mujoco', 'open3d'}


def test_a_crash_and_a_hang_are_told_of():
    assert attempt('import os; os.abort()').text == 'crashed with SIGABRT'
    assert attempt('import time; time.sleep(9)', timeout_sec=0.2).text == 'no end within 0.2 s'
    failed = attempt('import none_such')
    assert not failed.worked
    assert failed.text == "ModuleNotFoundError: No module named 'none_such'"


def test_a_machine_that_cannot_draw_is_told_how_to(monkeypatch):
    monkeypatch.setenv('MUJOCO_GL', 'none-such')
    found = machine.check_rendering()
    assert found.level == Level.WARN
    assert 'none-such' in found.seen
    assert 'MUJOCO_GL=osmesa' in found.advice


@pytest.mark.parametrize(
    ('cuda', 'available', 'names', 'driver', 'level', 'words'),
    [
        ('12.6', True, ['A10'], DRIVER, Level.OK, 'A10'),
        ('', False, [], '', Level.OK, 'CPU'),
        ('12.6', False, [], '', Level.OK, 'CPU'),
        ('', False, [], DRIVER, Level.WARN, 'CPU build'),
        ('12.6', False, [], DRIVER, Level.WARN, 'sees no GPU'),
    ],
)
def test_the_gpu_is_judged(cuda, available, names, driver, level, words):
    found = machine.judge_gpu('2.13.0+cpu', cuda, available, names, driver=driver)
    assert found.level == level
    assert words in found.seen
    assert bool(found.advice) == (level != Level.OK)


def test_a_cpu_build_beside_a_driver_is_found(tmp_path):
    import torch

    if torch.version.cuda:
        pytest.skip('this torch is built for CUDA')
    driver = tmp_path / 'version'
    driver.write_text(f'{DRIVER}\nGCC version: 12\n')
    found = machine.check_gpu(driver)
    assert found.level == Level.WARN
    assert found.seen.endswith(DRIVER)
    assert 'device:=cuda' in found.advice


def test_models_are_verified_one_by_one(tmp_path: Path):
    shutil.copytree(package_folder('models') / 'pct-tabletop', tmp_path / 'pct-tabletop')
    (tmp_path / 'broken').mkdir()
    (tmp_path / 'broken' / 'policy.json').write_text('{')
    good, bad = stored_models.check_models(tmp_path)
    assert (good.level, good.seen) == (Level.OK, 'pct-tabletop verified')
    assert (bad.level, bad.check) == (Level.ERROR, 'model broken')
    assert 'policy.json' in bad.seen
    assert bad.advice
    with (tmp_path / 'pct-tabletop' / 'weights.safetensors').open('ab') as file:
        file.write(b'x')
    _, changed = stored_models.check_models(tmp_path)
    assert 'SHA-256' in changed.seen
    acts, spec = stored_models.check_policy(tmp_path, 'pct-tabletop')
    assert acts.level == Level.ERROR
    assert spec is not None
    assert spec.model_id == 'pct-tabletop'


def test_no_models_at_all(tmp_path):
    (found,) = stored_models.check_models(tmp_path / 'absent')
    assert found.level == Level.ERROR
    assert '--models' in found.advice
    acts, spec = stored_models.check_policy(tmp_path, 'absent')
    assert (acts.level, spec) == (Level.ERROR, None)
