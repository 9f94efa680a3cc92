"""The training loop: progress, curves, and a state on disk from which a killed run goes on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
import json
from pathlib import Path
import time
from typing import Any

import numpy as np
from rich.progress import Progress
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
import torch
from torch import Tensor, nn

from sara_ros.core import ParameterError
from sara_ros.training.disk import writing
from sara_ros.training.optimiser import Optimiser, Recipe
from sara_ros.training.progress import running

Losses = dict[str, Tensor]
LossFunction = Callable[[np.random.Generator, int], Losses]
"""Draws a batch of the given size and returns named losses; the first is what is minimised."""

STATE_FILE = 'state.safetensors'
CURVE_FILE = 'curve.json'


def run_loop(
    module: nn.Module,
    losses: LossFunction,
    recipe: Recipe,
    folder: Path,
    *,
    settings: Mapping[str, Any],
    until: int | None = None,
    save_every: int = 500,
    progress: Progress | None = None,
    after: Callable[[Optimiser], None] | None = None,
    title: str = 'train',
    writes: bool = True,
) -> Optimiser:
    """
    Train ``module`` to the end of ``recipe``, or from where a run in ``folder`` was stopped.

    Batches depend on the seed and the step only, so a resumed run continues as it would have.

    :param settings: what must be the same when resuming.
    :param until: step to stop at before the end of the recipe, to go on later.
    :param after: called after each save.
    :param title: what the progress bar calls the run.
    :param writes: whether to keep state and curve in ``folder``; it is read in any case.
    :raises ParameterError: when ``folder`` holds a run with other settings or one that cannot be
        read, for a loss that is not finite, and when the disk is full.
    """
    optimiser = Optimiser(module, recipe)
    stated: dict[str, Any] = json.loads(json.dumps({'recipe': asdict(recipe), **settings}))
    curve = _resume(optimiser, folder, stated)
    last = min(until or recipe.steps, recipe.steps)
    began, spent = time.monotonic(), float(curve.get('seconds', 0.0))
    window: list[dict[str, float]] = []
    with running(progress) as bar:
        task = bar.add_task(title, total=recipe.steps, completed=optimiser.step)
        while optimiser.step < last:
            module.train()
            rng = np.random.default_rng([recipe.seed, optimiser.step])
            parts = losses(rng, recipe.batch)
            _refuse_infinite(parts, optimiser.step, folder)
            optimiser.update(next(iter(parts.values())))
            window.append({name: float(value.detach()) for name, value in parts.items()})
            bar.update(task, advance=1, description=f'{title}, loss {_mean(window)["loss"]:.3f}')
            if optimiser.step % save_every == 0 or optimiser.step == last:
                curve['points'].append({'step': optimiser.step, **_mean(window)})
                curve['seconds'] = spent + time.monotonic() - began
                window.clear()
                if writes:
                    _save(optimiser, folder, curve)
                if after is not None:
                    after(optimiser)
    return optimiser


def _refuse_infinite(parts: Losses, step: int, folder: Path) -> None:
    wrong = [name for name, value in parts.items() if not bool(torch.isfinite(value))]
    if wrong:
        raise ParameterError(
            f'loss {wrong[0]!r} is not finite at step {step}; {folder} still holds the state '
            'before it, lower the learning rate or check the data'
        )


def _resume(optimiser: Optimiser, folder: Path, settings: dict[str, Any]) -> dict[str, Any]:
    path = folder / CURVE_FILE
    if not path.exists() or not (folder / STATE_FILE).exists():
        folder.mkdir(parents=True, exist_ok=True)
        return {'settings': settings, 'points': [], 'seconds': 0.0}
    curve = _read_curve(path)
    found = {'variations': [], **curve['settings']}  # runs of before there were any have none
    other = {key for key in settings if found.get(key) != settings[key]}
    if other:
        raise ParameterError(
            f'{folder} holds a run with other settings ({", ".join(sorted(other))}); use another '
            'work folder or the same settings'
        )
    device = next(optimiser.module.parameters()).device
    try:
        optimiser.restore(load_file(folder / STATE_FILE, device=str(device)))
    except (OSError, SafetensorError, KeyError, RuntimeError) as err:
        raise ParameterError(
            f'{folder / STATE_FILE} is not a state of this run: {err}; use another work folder'
        ) from err
    curve['points'] = [point for point in curve['points'] if point['step'] <= optimiser.step]
    return curve


def _read_curve(path: Path) -> dict[str, Any]:
    try:
        curve: dict[str, Any] = json.loads(path.read_text(encoding='utf-8'))
    except (OSError, ValueError) as err:
        raise ParameterError(f'cannot read {path}: {err}; use another work folder') from err
    if not isinstance(curve, dict) or not {'settings', 'points'} <= set(curve):
        raise ParameterError(f'{path} is not the curve of a run; use another work folder')
    return curve


def _save(optimiser: Optimiser, folder: Path, curve: Mapping[str, Any]) -> None:
    with writing(folder / STATE_FILE) as partial:
        save_file(optimiser.tensors(), partial)
    with writing(folder / CURVE_FILE) as partial:
        partial.write_text(json.dumps(curve, indent=1), encoding='utf-8')


def _mean(window: list[dict[str, float]]) -> dict[str, float]:
    recent = window[-100:]
    return {name: float(np.mean([row[name] for row in recent])) for name in recent[0]}


def seed_everything(seed: int) -> None:
    """Make the initial weights depend on ``seed`` only."""
    torch.manual_seed(seed)
