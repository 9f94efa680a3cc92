"""Times every attention backend against torch SDPA and naive softmax, within a time budget."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
import os
import time
from typing import Any, Final

from rich.progress import Progress
import torch

from sara_ros.core import ParameterError
from sara_ros.core.allocator import keep_freed_memory
from sara_ros.evaluation.attention_speed.contenders import (
    NAIVE,
    SDPA,
    Cell,
    Field,
    bidirectional,
    timed_backends,
)
from sara_ros.evaluation.attention_speed.expected import expectations
from sara_ros.evaluation.attention_speed.history import (
    KV_CACHE,
    SMALL_FRAME,
    VIT_FRAME,
    history,
    history_vit,
)
from sara_ros.evaluation.attention_speed.offset import pct, pct_layer
from sara_ros.evaluation.attention_speed.peers import INSTALL, peer_versions
from sara_ros.evaluation.attention_speed.timing import Samples, TimingOptions, interleave
from sara_ros.evaluation.machine import describe_machine
from sara_ros.training.progress import running

FORMAT_VERSION: Final = 1
MICRO: Final = 1e6
FAMILIES: Final[dict[str, Callable[[Cell, Sequence[str]], Field]]] = {
    'bidirectional': bidirectional,
    'pct': pct,
    'pct_layer': pct_layer,
    'history': history,
    'history_vit': history_vit,
}
BASELINES: Final = {
    'bidirectional': SDPA, 'pct': NAIVE, 'pct_layer': NAIVE,
    'history': KV_CACHE, 'history_vit': KV_CACHE,
}  # fmt: skip
PCT_HEAD_DIM: Final = 32
"""PCT's layers are 128 wide (Guo et al. 2021)."""


@dataclass(frozen=True, slots=True)
class BenchmarkOptions:
    """
    The grid and the time to spend on it.

    :param seconds: time to spend in all; the least number of rounds is made even beyond it.
    :param backends: backends to time; all when empty.
    """

    seconds: float = 360.0
    tokens: tuple[int, ...] = (64, 128, 197, 256, 400, 784, 1024, 2048, 4096, 8192, 16384)
    points: tuple[int, ...] = (256, 512, 1024, 2048, 4096, 8192)
    frames: tuple[int, ...] = (1, 2, 4, 8, 16, 32, 64)
    head_dims: tuple[int, ...] = (32, 64)
    dtypes: tuple[str, ...] = ('float32', 'bfloat16')
    heads: int = 6
    backends: tuple[str, ...] = ()
    timing: TimingOptions = field(default_factory=TimingOptions)

    def __post_init__(self) -> None:
        """Check what would give an empty or endless run."""
        if not 0 < self.seconds < float('inf'):
            raise ParameterError(f'benchmark: seconds is {self.seconds}; must be above 0')
        sizes = (*self.tokens, *self.points, *self.frames, *self.head_dims, self.heads)
        if min(sizes) < 1:
            raise ParameterError(f'benchmark: a size is {min(sizes)}; each must be at least 1')
        for dtype in self.dtypes:
            if dtype not in ('float32', 'bfloat16'):
                raise ParameterError(f"benchmark: dtype '{dtype}'; known: float32, bfloat16")


QUICK: Final = BenchmarkOptions(
    seconds=2.0, tokens=(64, 197), points=(64, 256), frames=(1, 4), head_dims=(32,),
    timing=TimingOptions(warm_up=1, min_rounds=3, max_rounds=5, sample_sec=0.0),
)  # fmt: skip


def cells(options: BenchmarkOptions) -> list[Cell]:
    """Return the grid, family by family, sizes ascending."""
    heads = options.heads
    grid = [
        Cell('bidirectional', size, dim, dtype, heads)
        for dtype in options.dtypes
        for dim in options.head_dims
        for size in sorted(options.tokens)
    ]
    for family, sizes, dim, count in (
        ('pct', options.points, PCT_HEAD_DIM, 1),
        ('pct_layer', options.points, PCT_HEAD_DIM, 1),
        ('history', options.frames, max(options.head_dims, default=0), heads),
        ('history_vit', options.frames, max(options.head_dims, default=0), heads),
    ):
        grid += [
            Cell(family, size, dim, dtype, count)
            for dtype in options.dtypes
            for size in sorted(sizes)
        ]
    return grid


def run_benchmark(options: BenchmarkOptions, progress: Progress | None = None) -> dict[str, Any]:
    """
    Time all cells and return what is written as JSON.

    :raises ParameterError: for an unknown backend, or one that does not compute its reference.
    """
    freed_memory_kept = keep_freed_memory()  # as the nodes do
    began, load = time.monotonic(), os.getloadavg()
    results = run_cells(cells(options), options, progress)
    return {
        'format_version': FORMAT_VERSION,
        'machine': {**machine(), 'load_average': {'before': load[0], 'after': os.getloadavg()[0]}},
        'peers': {'versions': peer_versions(), 'install': INSTALL},
        'settings': {
            **asdict(options),
            'backends': timed_backends(options.backends),
            'batch': 1,
            'inputs': 'standard normal, contiguous (B, H, N, D); scores of PCT have unit variance',
            'order': 'drawn anew for each round',
            'freed_memory_kept': freed_memory_kept,
        },
        'seconds': round(time.monotonic() - began, 1),
        'baselines': BASELINES,
        'cells': results,
        'expected': expectations(results),
    }


def machine() -> dict[str, Any]:
    """Return the machine and how torch uses it."""
    return {**describe_machine(), 'threads': torch.get_num_threads()}


@torch.inference_mode()
def run_cells(
    grid: Iterable[Cell], options: BenchmarkOptions, progress: Progress | None = None
) -> list[dict[str, Any]]:
    """
    Time ``grid``, short cells first, so that the time they leave goes to long ones.

    A cell gets a share of the time that grows with the root of its cost: more rounds for short
    ones, but enough for a few of the longest.
    """
    names, grid = timed_backends(options.backends), list(grid)
    order = sorted(range(len(grid)), key=lambda index: _cost(grid[index]))
    deadline = time.monotonic() + options.seconds
    results: dict[int, dict[str, Any]] = {}
    with running(progress) as bar:
        task = bar.add_task('attention', total=len(grid))
        for done, index in enumerate(order):
            cell = grid[index]
            part = _cost(cell) ** 0.5 / sum(_cost(grid[i]) ** 0.5 for i in order[done:])
            bar.update(task, description=cell.label)
            share = max(deadline - time.monotonic(), 0.0) * part
            results[index] = _time(cell, names, share, options.timing)
            bar.advance(task)
    return [results[index] for index in range(len(grid))]


def _time(
    cell: Cell, names: Sequence[str], seconds: float, timing: TimingOptions
) -> dict[str, Any]:
    began = time.monotonic()
    entered = FAMILIES[cell.family](cell, names)
    left = seconds - (time.monotonic() - began)
    long = {name for name, sec in entered.first_sec.items() if sec >= timing.long_sec}
    samples = interleave(entered.calls, left, timing, warmed_up=long)
    baseline = BASELINES[cell.family]
    return {
        **asdict(cell),
        'baseline': baseline,
        'rounds': samples.rounds,
        'contenders': {name: _row(name, samples, entered, baseline) for name in entered.calls},
        'left_out': entered.left_out,
    }


def _row(name: str, samples: Samples, entered: Field, baseline: str) -> dict[str, Any]:
    took = samples.time_sec(name)
    row: dict[str, Any] = {
        'time_us': {key: value * MICRO for key, value in asdict(took).items()},
        'speedup': asdict(samples.speedup(name, baseline)),
        'calls_per_sample': samples.calls[name],
        'reference_error': entered.errors.get(name),
    }
    if NAIVE in samples.sec and baseline != NAIVE:
        row['speedup_over_naive'] = asdict(samples.speedup(name, NAIVE))
    return row


def _cost(cell: Cell) -> float:
    """Return what the quadratic contender has to compute, up to a factor."""
    if cell.family == 'history':
        return float(SMALL_FRAME * cell.size) ** 2 * cell.heads
    if cell.family == 'history_vit':
        return float(VIT_FRAME) ** 2 * cell.size * cell.heads
    return float(cell.size) ** 2 * cell.heads
