"""The recipes of the shipped models, by name."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sara_ros.core import ParameterError
from sara_ros.training.recorded import RecordedConfig
from sara_ros.training.tabletop import TabletopConfig

RECIPES: Final = ('rt2-tabletop', 'pct-tabletop', 'rt2-g1')


def recipe_config(
    name: str, *, model_id: str, models_dir: Path, work: Path, data: Path | None, command: str
) -> TabletopConfig | RecordedConfig:
    """
    Return the configuration behind a recipe.

    :param data: LeRobot folder of ``rt2-g1``; the other recipes make their own data.
    :raises ParameterError: for an unknown recipe, or ``rt2-g1`` without data.
    """
    if name == 'rt2-g1':
        if data is None:
            raise ParameterError('rt2-g1 is trained on a recording; name its folder with --data')
        return RecordedConfig(model_id, data, models_dir, work, command=command)
    if name == 'rt2-tabletop':
        return TabletopConfig(model_id, 'rt2', models_dir, work, command=command)
    if name == 'pct-tabletop':
        return TabletopConfig(model_id, 'pct', models_dir, work, command=command)
    raise ParameterError(f"no recipe '{name}'; known: {', '.join(RECIPES)}")
