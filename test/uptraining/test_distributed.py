"""Two processes compute what one does."""

from __future__ import annotations

import json
import os
from pathlib import Path
import subprocess
import sys

import numpy as np
import pytest
from safetensors.torch import load_file
import torch
from torch import nn

from sara_ros.core import ParameterError
from sara_ros.uptraining.distributed import Processes, launched

SCRIPT = Path(__file__).with_name('run_two.py')
CPU = torch.device('cpu')


def start(folder: Path, processes: int, until: int = 12) -> str:
    """Run the script to the end and return what it printed."""
    launcher = ['-m', 'torch.distributed.run', '--standalone', f'--nproc-per-node={processes}']
    done = subprocess.run(
        [sys.executable, *(launcher if processes > 1 else ()), SCRIPT, folder, str(until)],
        capture_output=True, text=True, timeout=100,
        env={**os.environ, 'CUDA_VISIBLE_DEVICES': '', 'OMP_NUM_THREADS': '1'},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_two_processes_compute_what_one_does(tmp_path):
    """
    Weights, averages, moments, buffers and curve are those of one process; a resumed run's too.

    Process 1 starts with other weights, sees other rows, and often none that count for a loss.
    """
    start(tmp_path / 'one', 1)
    printed = start(tmp_path / 'two', 2, until=4)
    assert {'process 0 of 2 wrote True', 'process 1 of 2 wrote False'} <= set(printed.splitlines())
    start(tmp_path / 'two', 2)
    one, two = (load_file(tmp_path / n / 'state.safetensors') for n in ('one', 'two'))
    assert one.keys() == two.keys()
    for name, tensor in one.items():
        torch.testing.assert_close(two[name], tensor, rtol=1e-5, atol=1e-6, msg=name)
    curves = [json.loads((tmp_path / n / 'curve.json').read_text()) for n in ('one', 'two')]
    for first, second in zip(*(curve['points'] for curve in curves), strict=True):
        assert second == pytest.approx(first, rel=1e-4)
    assert sorted(p.name for p in (tmp_path / 'two').iterdir()) == [
        'curve.json', 'state.safetensors',
    ]  # fmt: skip


def test_parts_are_disjoint_and_whole():
    """Every row of a batch is seen by exactly one process."""
    rows = np.arange(12)
    seen = [rows[Processes(rank, 3, CPU).part(12)] for rank in range(3)]
    assert {len(part) for part in seen} == {4}
    assert sorted(np.concatenate(seen)) == list(rows)
    with pytest.raises(ParameterError, match='batch is 13; it must be a multiple of the 3'):
        Processes(0, 3, CPU).part(13)


def test_alone_nothing_changes(tmp_path, monkeypatch):
    """Without a launcher the whole batch, the folder and the losses are the caller's own."""
    monkeypatch.delenv('WORLD_SIZE', raising=False)
    net = nn.Linear(2, 1)
    with launched() as here, here.folder(tmp_path) as folder:
        assert (here.rank, here.count, here.is_main, folder) == (0, 1, True, tmp_path)
        assert here.part(7) == slice(0, 7, 1)
        loss = here.spread(lambda rng, batch: {'loss': net.weight.sum()}, net)(None, 7)['loss']
        assert loss == net.weight.sum()
        assert here.mean(torch.tensor(3)) == 3


def test_a_launch_without_its_variables_is_refused(monkeypatch):
    """What is missing is named instead of waited for."""
    monkeypatch.setenv('WORLD_SIZE', '2')
    monkeypatch.delenv('RANK', raising=False)
    with pytest.raises(ParameterError, match='WORLD_SIZE is 2, but RANK is not set'), launched():
        pass
