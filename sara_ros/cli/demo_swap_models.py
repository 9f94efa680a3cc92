"""Models for the tour of hot swap: good ones, and some that must never move the arm."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
import shutil
from typing import Final

from safetensors.torch import load_file, save_file
import torch
from torch import Tensor

from sara_ros.policies import checkpoint as checkpoints

SERVED: Final = 'rt2-tabletop'
OTHER_SENSORS: Final = 'pct-tabletop'
ROUNDED: Final = 'rt2-tabletop-fp16'
TAMPERED: Final = 'rt2-tabletop-tampered'
POISONED: Final = 'rt2-tabletop-poisoned'
POISONED_WORD: Final = 'blue'
HUGE: Final = 3e38
"""Finite, but not so in the first sum of a layer."""


def make_models(shipped: Path, folder: Path) -> Path:
    """
    Fill ``folder`` with the models of the tour and return it; what was there is removed.

    :param shipped: folder of the package's models.
    """
    shutil.rmtree(folder, ignore_errors=True)
    for name in (SERVED, OTHER_SENSORS):
        shutil.copytree(shipped / name, folder / name)
    _vary(folder, ROUNDED, lambda weights, _: {
        name: tensor.half() for name, tensor in weights.items()
    })  # fmt: skip
    _vary(folder, POISONED, _poison)
    _vary(folder, TAMPERED, lambda weights, _: weights)
    _tamper(folder / TAMPERED / checkpoints.WEIGHTS_FILE)
    return folder


def _vary(
    folder: Path,
    name: str,
    change: Callable[[dict[str, Tensor], Mapping[str, object]], Mapping[str, Tensor]],
) -> None:
    """Save the served model under another name, with other weights and their hash."""
    stored = checkpoints.read(folder, SERVED)
    parent = {'model_id': SERVED, 'sha256': stored.weights['sha256']}
    spec = replace(stored.checkpoint.spec, model_id=name)
    varied = replace(stored.checkpoint, spec=spec, parent=parent)
    checkpoints.save(folder, varied, change(stored.load_weights(), stored.checkpoint.model))


def _poison(weights: dict[str, Tensor], model: Mapping[str, object]) -> dict[str, Tensor]:
    """Let the model return NaN once an instruction holds ``POISONED_WORD``."""
    vocabulary = model['vocabulary']
    assert isinstance(vocabulary, list)
    embedding = weights['words.weight'].float()
    row = torch.full_like(embedding[0], -HUGE)
    row[::4] = HUGE
    embedding[vocabulary.index(POISONED_WORD)] = row
    return {**weights, 'words.weight': embedding}


def _tamper(path: Path) -> None:
    """Change one weight behind the back of ``policy.json``."""
    weights = load_file(path)
    weights[min(weights)].view(-1)[0] += 1.0
    save_file(weights, path)
