"""The theory behind the backends, reproduced: every statement with what was measured."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from rich.progress import Progress
import torch

from sara_ros.core import CheckpointError, ParameterError
from sara_ros.evaluation.attention_speed.benchmark import (
    BenchmarkOptions,
    cells,
    machine,
    run_cells,
)
from sara_ros.evaluation.attention_speed.expected import crossovers
from sara_ros.evaluation.attention_theory.activations import MODELS, Activation, record_activations
from sara_ros.evaluation.attention_theory.findings import findings
from sara_ros.evaluation.attention_theory.folding import folding_errors
from sara_ros.evaluation.attention_theory.kernel import (
    KernelOptions,
    error_slope,
    expected_error,
    kernel_estimates,
    mean_of_draws,
    root_mean_square_error,
)
from sara_ros.evaluation.attention_theory.taylor import (
    activation_shares,
    identity_errors,
    random_shares,
)
from sara_ros.training.progress import running

ESTIMATORS: Final = ('sara', 'performer')
SPREADS: Final = (0.25, 0.5, 1.0, 2.0)
CROSSING: Final = BenchmarkOptions(
    seconds=20.0, tokens=(64, 128, 256, 512, 1024), points=(), frames=(), head_dims=(64,)
)
"""What decides where a backend breaks even; the benchmark measures the whole range."""


@dataclass(frozen=True, slots=True)
class AnalysisOptions:
    """
    What to reproduce.

    :param models_dir: folder of the models whose activations are looked at.
    :param observations: observations each model acts on.
    :param timing: grid and time of the comparison with SDPA.
    """

    models_dir: Path
    observations: int = 8
    kernel: KernelOptions = field(default_factory=KernelOptions)
    timing: BenchmarkOptions = CROSSING

    def __post_init__(self) -> None:
        """Check the count."""
        if self.observations < 1:
            raise ParameterError(
                f'analysis: observations is {self.observations}; must be at least 1'
            )


def analyse(options: AnalysisOptions, progress: Progress | None = None) -> dict[str, Any]:
    """
    Check every statement and return what is written as JSON.

    :raises ParameterError: for options that leave nothing to measure.
    """
    with running(progress) as bar:
        kernel = {name: _kernel(name, options.kernel, bar) for name in ESTIMATORS}
        activations, absent = _activations(options, bar)
        timed = run_cells(cells(options.timing), options.timing, bar)
        result = {
            'machine': machine(),
            'kernel': {'settings': asdict(options.kernel), **kernel},
            'folding': folding_errors(),
            'taylor': {
                'identities': _identities(),
                'random': random_shares(SPREADS, tokens=197, head_dim=64),
                'models': activation_shares(activations),
                'absent': absent,
            },
            'timing': {
                'seconds': options.timing.seconds, 'cells': timed, 'crossovers': crossovers(timed)
            },
        }  # fmt: skip
    return {**result, 'findings': [asdict(found) for found in findings(result)]}


def _kernel(name: str, options: KernelOptions, bar: Progress) -> dict[str, Any]:
    ratios = {}
    for features in bar.track(options.features, description=f'{name}: kernel estimates'):
        ratios[features] = kernel_estimates(name, features, options)
    rows = [
        {
            'features': features,
            'mean': asdict(mean_of_draws(array)),
            'error': root_mean_square_error(array),
            'expected_error': expected_error(features, options.squared_norm),
        }
        for features, array in ratios.items()
    ]
    return {'by_features': rows, 'slope': asdict(error_slope(ratios))}


def _activations(
    options: AnalysisOptions, bar: Progress
) -> tuple[list[Activation], dict[str, str]]:
    seen: list[Activation] = []
    absent: dict[str, str] = {}
    for model_id in bar.track(MODELS, description='activations of the models'):
        try:
            seen += record_activations(options.models_dir, model_id, options.observations)
        except CheckpointError as err:
            absent[model_id] = str(err)
    return seen, absent


def _identities() -> dict[str, float]:
    generator = torch.Generator().manual_seed(0)
    q, k = torch.randn(2, 1, 6, 197, 64, generator=generator, dtype=torch.float64) + 1
    return identity_errors(q, k)
