"""The recipes of the shipped models, of what they begin with and of their variants, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from sara_ros.core import ParameterError
from sara_ros.policies.pct_config import PCTConfig, Stage
from sara_ros.policies.rt2_config import RT2Config, View
from sara_ros.sim.variations import VARIATIONS
from sara_ros.training.capture import WRIST
from sara_ros.training.optimiser import Recipe
from sara_ros.training.pct_tabletop import pct_config
from sara_ros.training.recorded import RecordedConfig
from sara_ros.training.rt2_tabletop import tabletop_config
from sara_ros.training.tabletop import DaggerRound, TabletopConfig


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
    Return the configuration that trains the model ``recipe``.

    :param data: the recording, which ``rt2-g1`` needs.
    :raises ParameterError: for an unknown name, and for a recipe without the data it needs.
    """
    if recipe not in RECIPES:
        raise ParameterError(f"unknown recipe '{recipe}'; known: {', '.join(RECIPES)}")
    if recipe == 'rt2-g1':
        if data is None:
            raise ParameterError("recipe 'rt2-g1' needs a recording; give its folder with --data")
        return RecordedConfig(model_id, data, models_dir, work, command=command)
    base = _rt2 if recipe.startswith('rt2') else _pct
    config = replace(base(model_id, models_dir, work), command=command)
    return replace(config, **VARIANTS[recipe]())


FINE: Final = ('push', 'place')
"""Verbs with ends so fine that a learner which does the others still fails there."""


def _rt2(model_id: str, models_dir: Path, work: Path) -> TabletopConfig:
    return TabletopConfig(
        model_id, 'rt2', models_dir, work, frames=24_000,
        recipe=Recipe(steps=12_400, restarts=(5200, 8600, 11_600)), exact_steps=11_600,
        rounds=(
            DaggerRound(1000, 3000), DaggerRound(2000, 3000), DaggerRound(3000, 4000),
            DaggerRound(5200, 4000, FINE), DaggerRound(6000, 4000, FINE),
            DaggerRound(6800, 4000, FINE), DaggerRound(8600, 4000, ('place',)),
            DaggerRound(9600, 4000, ('place',)),
        ),
        decode='expectation',
    )  # fmt: skip


def _pct(model_id: str, models_dir: Path, work: Path) -> TabletopConfig:
    return TabletopConfig(
        model_id, 'pct', models_dir, work, frames=16_000,
        recipe=Recipe(steps=9000, batch=16, restarts=(4000,)),
        rounds=(
            DaggerRound(1000, 3000), DaggerRound(1800, 3000), DaggerRound(2600, 3000),
            DaggerRound(4000, 4000, FINE), DaggerRound(5000, 4000, FINE),
            DaggerRound(6000, 4000, FINE), DaggerRound(7000, 4000, FINE),
        ),
        instructions=6,
    )  # fmt: skip


MORE_FRAMES: Final = 36_000
"""Of variants that need every state of a scene, which makes neighbours alike."""


def _network(config: RT2Config | PCTConfig, **changes: Any) -> dict[str, Any]:
    return {'network': replace(config, **changes)}


def _history() -> dict[str, Any]:
    """Take three frames, 0.15 s apart: 372 tokens that two further layers mix."""
    network = _network(
        tabletop_config('expectation'), history=3, frame_spacing_sec=0.15, encoder_layers=2,
        history_layers=2,
    )  # fmt: skip
    return {**network, 'frames': MORE_FRAMES}


def _fine() -> dict[str, Any]:
    """
    Overlap the patches of a larger image: 768 + 16 tokens.

    It can do the tasks already: a short run makes it see with more tokens.
    """
    views = (View('front', 192, 256, 16, overlap=2), WRIST)
    return {
        **_network(tabletop_config('expectation'), views=views),
        'warm_start': 'rt2-tabletop-standard',
        'frames': 8000,
        'recipe': Recipe(steps=1600, batch=16, learning_rate=5e-4),
        'exact_steps': 0,
        'rounds': (DaggerRound(400, 3000), DaggerRound(800, 3000, FINE)),
    }


def _varied(standard: str, **changes: Any) -> dict[str, Any]:
    """Go on from the model of the standard scenes in varied ones, in other words too."""
    return {
        'warm_start': standard,
        'variations': tuple(VARIATIONS),
        'frames': 12_000,
        'rounds': (DaggerRound(1000, 4000), DaggerRound(2000, 4000, FINE)),
        **changes,
    }


def _rt2_varied() -> dict[str, Any]:
    recipe = Recipe(steps=4000, learning_rate=7e-4)
    return _varied('rt2-tabletop-standard', recipe=recipe, exact_steps=0)


def _pct_varied() -> dict[str, Any]:
    recipe = Recipe(steps=4000, batch=16, learning_rate=7e-4)
    return _varied('pct-tabletop-standard', recipe=recipe)


def _vector() -> dict[str, Any]:
    """Write numbers as text: eight of a sign and two digits."""
    return _network(tabletop_config(), coding='vector', actions=8 * 3)


def _chunk() -> dict[str, Any]:
    """Decode four steps at once, in parallel."""
    network = _network(tabletop_config('expectation'), generation='parallel', actions=8 * 4)
    return {**network, 'frames': MORE_FRAMES}


def _points(count: int, voxel_m: float) -> Callable[[], dict[str, Any]]:
    # The voxels leave a few more points than that in every scene.
    return lambda: _network(pct_config(), points=count, voxel_m=voxel_m)


def _grouped() -> dict[str, Any]:
    """Take PCT's classic form: 1024 points, of which two stages leave 512 and 256."""
    stages = (Stage(512, 32), Stage(256, 32))
    return _network(pct_config(), points=1024, voxel_m=0.016, grouping=stages)


def _grasp() -> dict[str, Any]:
    """Add a grasp head; a cube looks the same after a quarter of a turn."""
    return _network(pct_config(), grasp_symmetry=4)


VARIANTS: Final[Mapping[str, Callable[[], dict[str, Any]]]] = {
    'rt2-tabletop': _rt2_varied,
    'pct-tabletop': _pct_varied,
    'rt2-tabletop-standard': dict,
    'rt2-tabletop-history': _history,
    'rt2-tabletop-784': _fine,
    'rt2-tabletop-vector': _vector,
    'rt2-tabletop-chunk': _chunk,
    'pct-tabletop-standard': dict,
    'pct-tabletop-800': _points(800, 0.019),
    'pct-tabletop-2048': _points(2048, 0.011),
    'pct-tabletop-4096': _points(4096, 0.007),
    'pct-tabletop-grouped': _grouped,
    'pct-tabletop-grasp': _grasp,
}
"""What differs from the recipe of the standard scenes of the same kind, by name."""

RECIPES: Final = (*VARIANTS, 'rt2-g1')


__all__ = ['RECIPES', 'VARIANTS', 'recipe_config']
