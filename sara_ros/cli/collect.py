"""Collects frames of the scripted expert, as a recipe's training wants them."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import Any

from sara_ros.cli.train import progress_bar
from sara_ros.core import ParameterError
from sara_ros.evaluation.files import write_json
from sara_ros.training.collect import CollectConfig, collect
from sara_ros.training.recipes import recipe_config
from sara_ros.training.record import machine
from sara_ros.training.tabletop import TabletopConfig, capture_of, learner_of

RECORD_FILE = 'record.json'


def run_collect(options: Namespace) -> Path:
    """
    Collect what is missing and return the folder; ``record.json`` there says how.

    :raises ParameterError: for a recipe that is not the tabletop's, a folder of other frames, and
        a disk that is full.
    """
    recipe = recipe_config(
        options.recipe, model_id=options.recipe, models_dir=Path('models'), work=Path('work'),
        data=Path(),
    )  # fmt: skip
    if not isinstance(recipe, TabletopConfig):
        raise ParameterError(f"recipe '{options.recipe}' is trained on a recording, not collected")
    config = CollectConfig(
        options.out or Path('out/train') / options.recipe / 'frames',
        options.frames or recipe.frames,
        options.workers,
        options.shard,
        options.seed,
        capture_of(learner_of(recipe.architecture)),
        variations=recipe.variations,
    )
    frames = collect(config, progress_bar())
    write_record(config.folder, options.typed, frames, config.seeds, config.settings)
    return config.folder


def write_record(
    folder: Path, command: str, frames: int, seeds: tuple[int, int], settings: dict[str, Any]
) -> None:
    """Write what the frames below ``folder`` are."""
    record = {
        'command': command,
        'frames': frames,
        'seeds': list(seeds),
        'settings': settings,
        'machine': machine(),
    }
    write_json(folder / RECORD_FILE, record)
