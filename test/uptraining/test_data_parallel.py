"""``sara-ros uptrain`` in two processes, and on a GPU."""

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
from uptraining.test_measure import opened
from uptraining.toys import config

from sara_ros.cli.main import main
from sara_ros.core import ParameterError
from sara_ros.uptraining.distributed import ALONE, Processes, launched
from sara_ros.uptraining.pipeline import uptrain

PHASES = ('transfer', 'finetune', 'softmax_control')


def arguments(toy: Path) -> list[str]:
    """Return a command of four steps a phase."""
    return [
        'uptrain', 'toy', '--backend', 'sara', '--option', 'function=exp', '--transfer-steps', '4',
        '--finetune-steps', '4', '--batch', '8', '--lr', '0.001', '--held-out', '12', '--threads',
        '1', '--name', 'new', '--models', str(toy / 'models'), '--work', str(toy / 'work'),
    ]  # fmt: skip


def in_two(toy: Path) -> str:
    """Run the command in two processes and return what they printed."""
    launcher = ['-m', 'torch.distributed.run', '--standalone', '--nproc-per-node=2']
    started = subprocess.Popen(
        [sys.executable, *launcher, '-m', 'sara_ros.cli.main', *arguments(toy)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env={**os.environ, 'OMP_NUM_THREADS': '1'},
    )  # fmt: skip
    try:
        printed = started.communicate(timeout=150)[0]
    finally:
        # Unlike a kill, which torchrun passes on to its processes.
        started.terminate()
    assert started.returncode == 0, printed
    return printed


def left_by(toy: Path) -> list[str]:
    """Return the files that a run left beside frames."""
    folders = (toy / 'models', toy / 'work' / 'uptrain')
    return sorted(str(p.relative_to(toy)) for f in folders for p in f.rglob('*') if p.is_file())


def record(toy: Path) -> dict:
    """Return the record of the run."""
    return json.loads((toy / 'work' / 'uptrain' / 'new' / 'record.json').read_text())


class Asked:
    """A learner that writes down which rows and tasks it is given."""

    def __init__(self) -> None:
        self.rows: list[tuple[np.ndarray, torch.Tensor]] = []

    def losses(self, frames, rows, tasks, rng, mean):
        self.rows.append((rows, tasks))
        return {}


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_two_processes_up_train_as_one_does(toy: Path) -> None:
    """Losses at every step, weights, errors and files are those of one process."""
    assert main(arguments(toy)) == 0
    one, files = record(toy), left_by(toy)
    weights = load_file(toy / 'models' / 'new' / 'weights.safetensors')
    (toy / 'work' / 'uptrain').rename(toy / 'one')
    (toy / 'models' / 'new').rename(toy / 'new')
    printed = in_two(toy)
    two = record(toy)
    assert left_by(toy) == files
    assert printed.count('record: ') == printed.count('model: ') == 1
    for phase in PHASES:
        for first, second in zip(one['curves'][phase], two['curves'][phase], strict=True):
            assert second == pytest.approx(first, rel=2e-3 if toy.name == 'pct' else 1e-4), phase
    for name, error in one['held_out'].items():
        assert two['held_out'][name]['loss'] == pytest.approx(error['loss'], rel=1e-4)
    for name, tensor in load_file(toy / 'models' / 'new' / 'weights.safetensors').items():
        torch.testing.assert_close(tensor, weights[name], rtol=1e-3, atol=1e-4, msg=name)
    policy = json.loads((toy / 'models' / 'new' / 'policy.json').read_text())
    assert (policy['training']['processes'], policy['training']['device']) == (2, 'cpu')


def test_halves_that_cannot_be_shared(rt2_toy: Path) -> None:
    """The batch is named before anything is written."""
    here = Processes(0, 2, torch.device('cpu'))
    with pytest.raises(ParameterError, match='batch is 6; it must be a multiple of 4, because 2'):
        uptrain(config(rt2_toy, batch=6), here=here)
    assert not (rt2_toy / 'work' / 'uptrain').exists()


def test_parts_together_are_the_batch(toy: Path) -> None:
    """What two processes are given is what one is given, each row once."""
    data, _ = opened(toy)
    drawn = []
    for here in (ALONE, *(Processes(rank, 2, torch.device('cpu')) for rank in (0, 1))):
        data._here = here
        drawn.append(Asked())
        data.losses(drawn[-1])(np.random.default_rng(5), 8)
    for whole, *parts in zip(*(asked.rows for asked in drawn), strict=True):
        assert len(whole[0]) == 4
        for index in (0, 1):
            both = np.stack([np.asarray(part[index]) for part in parts], axis=1)
            assert (both.reshape(np.shape(whole[index])) == np.asarray(whole[index])).all()


def test_losses_in_bf16(toy: Path) -> None:
    """Autocast, as on a GPU, leaves losses and gradients finite and near those of f32."""
    data, network = opened(toy)
    learner = data.learner(network).train()
    plain = data.losses(learner)(np.random.default_rng(0), 8)
    with torch.autocast('cpu', torch.bfloat16):
        rough = data.losses(learner)(np.random.default_rng(0), 8)
    for name, value in plain.items():
        assert rough[name].dtype == torch.float32
        assert float(rough[name].detach()) == pytest.approx(
            float(value.detach()), rel=0.03, abs=0.01
        ), name
    rough['loss'].backward()
    assert all(p.grad.isfinite().all() for p in network.parameters() if p.grad is not None)


@pytest.mark.skipif(torch.cuda.is_available(), reason='there is a GPU')
def test_absent_gpu() -> None:
    """It is said before anything is read."""
    with pytest.raises(ParameterError, match="device is 'cuda', but torch finds no GPU"):
        launched('cuda').__enter__()


def test_unknown_device() -> None:
    """Known ones are listed."""
    with pytest.raises(ParameterError, match="device is 'tpu'; known: cpu, cuda"):
        launched('tpu').__enter__()


@pytest.mark.skipif(not torch.cuda.is_available(), reason='torch finds no GPU')
def test_on_a_gpu(toy: Path) -> None:
    """Errors are near those of the CPU; the model is the same but for rounding; a run resumes."""
    cpu = uptrain(config(toy, name='cpu'))
    (toy / 'work' / 'uptrain').rename(toy / 'cpu')
    with launched('cuda') as here:
        gpu = uptrain(config(toy, name='gpu'), here=here)
        again = uptrain(config(toy, name='gpu'), here=here)
    assert again.variants['finetuned'] == gpu.variants['finetuned']
    for name, error in cpu.variants.items():
        assert gpu.variants[name].loss == pytest.approx(error.loss, rel=0.02), name
    weights = load_file(gpu.model / 'weights.safetensors')
    assert all(tensor.isfinite().all() for tensor in weights.values())
