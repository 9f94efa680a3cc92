"""The recipes of the shipped models, by name."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sara_ros.core import ParameterError
from sara_ros.training.optimiser import Recipe
from sara_ros.training.recorded import RecordedConfig
from sara_ros.training.tabletop import DaggerRound, TabletopConfig

RECIPES: Final = ('rt2-tabletop', 'pct-tabletop', 'rt2-g1')


def recipe_config(
    recipe: str,
    *,
    model_id: str,
    models_dir: Path,
    work: Path,
    data: Path | None = None,
    command: str = '',
) -> TabletopConfig | RecordedConfig:
    """
    Return the configuration that trains the shipped model ``recipe``.

    :param data: the recording, which ``rt2-g1`` needs.
    :raises ParameterError: for an unknown name, and for a recipe without the data it needs.
    """
    if recipe == 'rt2-tabletop':
        return TabletopConfig(
            model_id, 'rt2', models_dir, work, frames=24_000, recipe=Recipe(steps=3600),
            rounds=(DaggerRound(800, 4000), DaggerRound(1600, 4000), DaggerRound(2400, 4000)),
            decode='expectation',
            command=command,
        )  # fmt: skip
    if recipe == 'pct-tabletop':
        return TabletopConfig(
            model_id, 'pct', models_dir, work, frames=16_000, recipe=Recipe(steps=4000, batch=16),
            rounds=(DaggerRound(1000, 3000), DaggerRound(1800, 3000), DaggerRound(2600, 3000)),
            instructions=6,
            command=command,
        )  # fmt: skip
    if recipe != 'rt2-g1':
        raise ParameterError(f"unknown recipe '{recipe}'; known: {', '.join(RECIPES)}")
    if data is None:
        raise ParameterError("recipe 'rt2-g1' needs a recording; give its folder with --data")
    return RecordedConfig(model_id, data, models_dir, work, command=command)
