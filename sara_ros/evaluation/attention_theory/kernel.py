"""The statements that the backends rest on, checked on the backends themselves."""

from __future__ import annotations

from dataclasses import dataclass
import math
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
import torch
from torch import Tensor

from sara_ros.attention import create
from sara_ros.core import ParameterError
from sara_ros.evaluation.attention_speed.reference import dense

FloatArray = NDArray[np.float64]
NORMAL_95: Final = 1.959963984540054
RESAMPLES: Final = 2000


@dataclass(frozen=True, slots=True)
class KernelOptions:
    """
    How the softmax kernel is estimated.

    The estimate's relative variance is ``(exp(s^2) - 1) / m`` with ``s^2 = |q + k|^2 / sqrt(D)``,
    which every pair gets as ``squared_norm``: a large one needs more draws than anybody has.

    :param pairs: pairs of a query and a key.
    :param draws: independent random maps.
    :param features: numbers of features ``m``, ascending.
    """

    head_dim: int = 32
    pairs: int = 8
    draws: int = 400
    features: tuple[int, ...] = (16, 32, 64, 128, 256, 512, 1024)
    squared_norm: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Check that a slope and an interval exist."""
        if len(set(self.features)) < 2 or min(self.features) < 1 or self.draws < 2:
            raise ParameterError(
                f'analysis: features are {self.features} and draws {self.draws}; at least two '
                'different numbers of features above 0 and two draws are needed'
            )


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate and its 95 % confidence interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        """Return all three numbers."""
        return f'{self.value:.4f} [{self.low:.4f}, {self.high:.4f}]'

    def holds(self, number: float) -> bool:
        """Return whether ``number`` lies inside."""
        return self.low <= number <= self.high


def kernel_pairs(options: KernelOptions) -> tuple[Tensor, Tensor]:
    """Return queries and keys ``(P, D)`` with ``|q + k|^2 / sqrt(D) = squared_norm``."""
    generator = torch.Generator().manual_seed(options.seed)
    shape = (2, options.pairs, options.head_dim)
    q, k = torch.randn(shape, generator=generator, dtype=torch.float64)
    wanted = math.sqrt(options.squared_norm) * options.head_dim**0.25
    scale = wanted / (q + k).norm(dim=-1, keepdim=True)
    return q * scale, k * scale


def kernel_estimates(name: str, features: int, options: KernelOptions) -> FloatArray:
    """
    Return ``phi(q).phi(k)`` over what it should be on average, ``(draws, pairs)``.

    With ``g`` standard normal, ``E exp(g.q) exp(g.k) = exp(|q + k|^2 / 2)``: the softmax kernel
    ``exp(q.k)`` times ``exp((|q|^2 + |k|^2) / 2)``, ``q`` and ``k`` being scaled by ``D^-1/4``
    (Choromanski et al. 2021, lemma 1). Each head of one backend is a draw.

    :param name: ``sara``, whose estimate carries that factor and a sum over ``m`` features, or
        ``performer``, whose features are normalised.
    """
    q, k = kernel_pairs(options)
    with torch.random.fork_rng(devices=()), torch.no_grad():
        torch.manual_seed(options.seed + features)
        made: Any = create(
            name, head_dim=options.head_dim, heads=options.draws, options=_map(name, features)
        ).double()
        phi_q, phi_k = dense(made.map_queries(q)), dense(made.map_keys(k))  # (draws, P, m)
    root = options.head_dim**0.5
    exact = (q * k).sum(-1) / root  # logarithms, (P,)
    constant = (q.square() + k.square()).sum(-1) / (2 * root) + math.log(features)
    true = exact + constant if name == 'sara' else exact
    estimates: FloatArray = ((phi_q * phi_k).sum(dim=-1) / true.exp()).numpy()
    return estimates


def _map(name: str, features: int) -> dict[str, Any]:
    if name == 'performer':
        return {'features': features}
    return {'function': 'exp', 'features': features, 'initialisation': 'random'}


def mean_of_draws(ratios: FloatArray) -> Interval:
    """Return the mean of ``(draws, pairs)``; pairs of one draw share its map."""
    draws = ratios.mean(axis=1)
    error = float(draws.std(ddof=1)) / math.sqrt(len(draws))
    mean = float(draws.mean())
    return Interval(mean, mean - NORMAL_95 * error, mean + NORMAL_95 * error)


def root_mean_square_error(ratios: FloatArray) -> float:
    """Return the relative error of ``(draws, pairs)`` estimates whose true value is one."""
    return float(np.sqrt(np.square(ratios - 1).mean()))


def expected_error(features: int, squared_norm: float) -> float:
    """Return the standard deviation of the mean of ``m`` lognormal numbers over their mean."""
    return math.sqrt(math.expm1(squared_norm) / features)


def error_slope(ratios: dict[int, FloatArray], seed: int = 0) -> Interval:
    """Return the slope of log error over log m, with a bootstrap interval over draws."""
    generator = np.random.default_rng(seed)
    log_m = np.log(np.array(list(ratios), float))
    squares = [np.square(array - 1).mean(axis=1) for array in ratios.values()]
    resampled = np.stack(
        [
            0.5 * np.log(some[generator.integers(len(some), size=(RESAMPLES, len(some)))].mean(1))
            for some in squares
        ]
    )
    slopes = np.polyfit(log_m, resampled, 1)[0]
    log_error = [0.5 * math.log(some.mean()) for some in squares]
    low, high = np.percentile(slopes, (2.5, 97.5))
    return Interval(float(np.polyfit(log_m, log_error, 1)[0]), float(low), float(high))
