"""Every statement of the analysis in one line: what it says, what was measured, if it holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sara_ros.evaluation.attention_speed.table import crossover_text, markdown_table
from sara_ros.evaluation.attention_theory.kernel import Interval

EXACT: Final = 1e-10
"""Largest error of an identity in f64."""

STANDARD_ERRORS: Final = 5.0
HALF_WIDTH_95: Final = 1.96
HOLDS: Final = {True: 'yes', False: '**no**', None: ''}


@dataclass(frozen=True, slots=True)
class Finding:
    """A statement; ``holds`` is None for what is measured without a claim."""

    statement: str
    expected: str
    measured: str
    holds: bool | None = None


def findings(result: Mapping[str, Any]) -> list[Finding]:
    """Return the statements in the order of the analysis."""
    return [
        *_kernel(result['kernel']),
        *_identities(result),
        *_negative(result['taylor']),
        *_crossovers(result['timing']),
    ]


def agrees(estimate: Interval, number: float) -> bool:
    """Return whether ``number`` lies within five standard errors of an estimate."""
    error = (estimate.high - estimate.low) / (2 * HALF_WIDTH_95)
    return abs(estimate.value - number) <= STANDARD_ERRORS * error


def analysis_page(result: Mapping[str, Any], picture: str) -> str:
    """Return the findings as a Markdown page."""
    rows = [
        (row['statement'], row['expected'], row['measured'], HOLDS[row['holds']])
        for row in result['findings']
    ]
    found = result['machine']
    absent = ''.join(
        f'\n\nWithout {name}: {why}' for name, why in result['taylor']['absent'].items()
    )
    return (
        '# Attention analysis\n\n'
        f'{found["cpu"]}, {found["threads"]} threads, torch {found["torch"]}. '
        'Intervals are 95 % confidence; a statement about a mean holds when it lies within five '
        'standard errors.\n\n'
        f'![Kernel estimates, Taylor weights and speed]({picture})\n\n'
        + markdown_table(('Statement', 'Expected', 'Measured', 'Holds'), rows)
        + absent
        + '\n'
    )


def _kernel(kernel: Mapping[str, Any]) -> Iterator[Finding]:
    constants = {'sara': ' over exp((|q|² + |k|²) / 2)', 'performer': ''}
    for name, constant in constants.items():
        last = kernel[name]['by_features'][-1]
        mean, slope = Interval(**last['mean']), Interval(**kernel[name]['slope'])
        yield Finding(
            f'{name}: mean kernel estimate{constant} over exp(q.k), m = {last["features"]}',
            '1', str(mean), agrees(mean, 1.0),
        )  # fmt: skip
        # Rows that are orthogonal do better than independent ones while m is near D.
        claim = agrees(slope, -0.5) if name == 'sara' else None
        yield Finding(f'{name}: slope of log error over log m', '-0.5', str(slope), claim)


def _identities(result: Mapping[str, Any]) -> Iterator[Finding]:
    worst = max(row['float64'] for row in result['folding'])
    single = max(row['float32'] for row in result['folding'])
    yield Finding(
        'folding G, scale and D^-1/4 into the projections changes the output by',
        '0', f'{worst:.1e} in f64, {single:.1e} in f32', worst <= EXACT,
    )  # fmt: skip
    for name, error in result['taylor']['identities'].items():
        yield Finding(f'Taylor: {name}, error', '0', f'{error:.1e} in f64', error <= EXACT)


def _negative(taylor: Mapping[str, Any]) -> Iterator[Finding]:
    for row in taylor['random']:
        yield Finding(
            f'Taylor: negative weights, scores of deviation {row["deviation"]:g}',
            f'{row["expected"]:.2%} if normal', _share(row),
        )  # fmt: skip
    for row in taylor['models']:
        place = f'{row["model"]} {row["layer"]}, {row["tokens"]} tokens'
        yield Finding(f'Taylor: negative weights, {place}', '', _share(row))


def _crossovers(timing: Mapping[str, Any]) -> Iterator[Finding]:
    for row in timing['crossovers']:
        what = f'{row["contender"]} overtakes torch SDPA, {row["dtype"]}'
        yield Finding(f'{what}, head size {row["head_dim"]}', '', crossover_text(row))


def _share(row: Mapping[str, Any]) -> str:
    return (
        f'{row["negative"]:.2%}; |x| above 1: {row["outside"]:.1%}, p99 {row["p99"]:.1f}, '
        f'largest {row["max"]:.1f}'
    )
