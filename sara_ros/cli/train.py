"""Trains a model by its recipe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
import shlex
from typing import Any, Final

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from sara_ros.core import ParameterError
from sara_ros.evaluation.dataset.plan import DatasetOptions
from sara_ros.policies import checkpoint as checkpoints
from sara_ros.training.recipes import RECIPES, recipe_config
from sara_ros.training.recorded import RecordedConfig, train_recorded
from sara_ros.training.tabletop import TabletopConfig, train_tabletop

_PLACES: Final = ('--models', '--work', '--threads', '--out', '--json', '--workers')


def train(
    recipe: str,
    *,
    model_id: str,
    models_dir: Path,
    work: Path | None,
    steps: int,
    threads: int,
    seed: int | None,
    data: Sequence[Path],
    bags: DatasetOptions,
    typed: str,
) -> Path:
    """
    Train, and return the folder of the model.

    :param model_id: name of the model; empty for the recipe's.
    :param work: folder of frames and training state; the run resumes from what it holds.
    :param steps: training steps; 0 for the recipe's.
    :param seed: of weights, batches and scenes; ``None`` for the recipe's.
    :param data: the LeRobot folder or the bags to train on, where the recipe needs a recording.
    :param bags: what bags do not say about themselves.
    :param typed: the command line.
    :raises ParameterError: for numbers that cannot be used, before anything is written, and for
        data that the recipe does not take.
    """
    from sara_ros.cli.dataset import training_folder

    name = model_id or recipe
    config = recipe_config(
        recipe,
        model_id=name,
        models_dir=models_dir,
        work=work or Path('out/train') / name,
        data=data[0] if data else None,
        command=without_places(typed),
    )
    if data and not isinstance(config, RecordedConfig):
        raise ParameterError(
            f"recipe '{recipe}' is not trained on a recording; leave --data out, or train rt2-g1"
        )
    how = replace(config.recipe, steps=steps or config.recipe.steps)
    if seed is not None:
        how = replace(how, seed=seed)
    config = replace(config, recipe=how, threads=threads)
    with progress_bar() as bar:
        if not isinstance(config, RecordedConfig):
            return _after_its_parent(config, bar)
        recording = training_folder(data, config.work, bags, bar)
        # A data set that was made of bags holds just the cameras that were asked for.
        cameras = bags.cameras if recording == data[0] else ()
        folder = train_recorded(replace(config, recording=recording, cameras=cameras), bar)
    print(held_out_table(checkpoints.read(models_dir, name).checkpoint.metrics))
    return folder


def _after_its_parent(config: TabletopConfig, bar: Progress) -> Path:
    """Train; where the model that the run begins with is missing, train that one before."""
    parent = config.warm_start
    if parent in RECIPES and not (config.models_dir / parent).exists():
        bar.console.print(f"'{config.model_id}' begins with '{parent}', which is trained first")
        first = recipe_config(
            parent, model_id=parent, models_dir=config.models_dir,
            work=config.work.parent / parent, command=f'sara-ros train {parent}',
        )  # fmt: skip
        assert isinstance(first, TabletopConfig)
        _after_its_parent(replace(first, threads=config.threads), bar)
    return train_tabletop(config, bar)


def held_out_table(metrics: Mapping[str, Any]) -> str:
    """Return the error of a model on held-out episodes beside those of the baselines."""
    rows = {'this model': metrics['mean_absolute_error'], **metrics['baselines']}
    lines = [f'{name.replace("_", " "):<22}{error:.4f}' for name, error in rows.items()]
    count = metrics['held_out_frames']
    return '\n'.join([f'mean absolute error on {count} held-out frames', *lines])


def without_places(command: str) -> str:
    """Return a command without what only says where and how fast it ran on one machine."""
    words, kept = iter(shlex.split(command)), []
    for word in words:
        if word in _PLACES:
            next(words, None)
        elif word.partition('=')[0] not in _PLACES:
            kept.append(word)
    return shlex.join(kept)


def progress_bar() -> Progress:
    """Return a bar with counts and the time that remains."""
    return Progress(
        TextColumn('{task.description}'), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    )
