"""What the benchmark is expected to show, beside what it shows; and where backends break even."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
import math
from typing import Any, Final

from sara_ros.evaluation.attention_speed.contenders import FOLDED, NAIVE, SDPA

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Expectation:
    """A factor over the family's baseline that a backend should at least reach."""

    family: str
    size: int
    head_dim: int
    contender: str
    at_least: float
    dtype: str = 'float32'


@dataclass(frozen=True, slots=True)
class Flat:
    """The cost of one more frame must not grow with the window by more than this factor."""

    contender: str
    few: int = 1
    many: int = 64
    at_most: float = 1.25


FACTORS: Final = (
    *(Expectation('bidirectional', 197, 64, name, 1.5) for name in ('sara', 'sara' + FOLDED)),
    *(Expectation('bidirectional', 784, 64, name, 4.0) for name in ('sara', 'sara' + FOLDED)),
    Expectation('bidirectional', 197, 64, 'taylor', 2.5),
    Expectation('bidirectional', 784, 64, 'taylor', 7.0),
    *(
        Expectation(family, size, 32, name, factor)
        for family in ('pct', 'pct_layer')
        for size, factor in ((1024, 1.5), (4096, 5.0))
        for name in ('sara', 'taylor')
    ),
    *(
        Expectation(family, 8, 64, name, 10.0)
        for family in ('history', 'history_vit')
        for name in ('sara', 'sara' + FOLDED, 'taylor')
    ),
)
EXACT: Final = (SDPA, NAIVE, 'softmax')
"""Forms of softmax; what they do faster or slower than SDPA is no property of a backend."""

FLAT: Final = (Flat('sara'), Flat('taylor'))


def expectations(cells: Sequence[Row]) -> list[dict[str, Any]]:
    """Return each expectation with what was measured; ``met`` is None where nothing was."""
    rows = [_factor(cells, expected) for expected in FACTORS]
    return rows + [_flat(cells, expected) for expected in FLAT]


def crossovers(cells: Sequence[Row], family: str = 'bidirectional') -> list[dict[str, Any]]:
    """
    Return from how many tokens on each contender is faster than the baseline.

    ``from_tokens`` is interpolated between the last measured size at which it is slower and the
    next one, both axes logarithmic; None when it is slower at the largest size. ``bound`` says
    'below' when it is faster at every measured size, so that the smallest one is an upper bound.
    """
    series: dict[tuple[str, int, str], list[tuple[int, float]]] = {}
    for cell in cells:
        if cell['family'] != family:
            continue
        for name, row in cell['contenders'].items():
            if name in EXACT:
                continue
            key = (cell['dtype'], cell['head_dim'], name)
            point = (cell['size'], row['speedup']['median'])
            series.setdefault(key, []).append(point)
    return [
        {'dtype': dtype, 'head_dim': dim, 'contender': name, **_crossover(sorted(points))}
        for (dtype, dim, name), points in series.items()
    ]


def find(cells: Sequence[Row], family: str, size: int, head_dim: int, dtype: str) -> Row | None:
    """Return the cell with these coordinates, or None."""
    wanted = (family, size, head_dim, dtype)
    keys = ('family', 'size', 'head_dim', 'dtype')
    return next((cell for cell in cells if tuple(cell[key] for key in keys) == wanted), None)


def _crossover(points: Sequence[tuple[int, float]]) -> dict[str, Any]:
    slower = [index for index, (_, speedup) in enumerate(points) if speedup < 1]
    if not slower:
        return {'from_tokens': points[0][0], 'bound': 'below'}
    last = slower[-1]
    if last + 1 == len(points):
        return {'from_tokens': None, 'bound': f'above {points[-1][0]}'}
    (low, below), (high, above) = points[last], points[last + 1]
    share = -math.log(below) / (math.log(above) - math.log(below))
    return {'from_tokens': round(low * (high / low) ** share), 'bound': ''}


def _factor(cells: Sequence[Row], expected: Expectation) -> dict[str, Any]:
    cell = find(cells, expected.family, expected.size, expected.head_dim, expected.dtype)
    row = cell['contenders'].get(expected.contender) if cell else None
    measured = row['speedup'] if row else None
    met = None if measured is None else measured['median'] >= expected.at_least
    return {**asdict(expected), 'kind': 'factor', 'measured': measured, 'met': met}


def _flat(cells: Sequence[Row], expected: Flat) -> dict[str, Any]:
    took = {
        cell['size']: cell['contenders'][expected.contender]['time_us']['median']
        for cell in cells
        if (cell['family'], cell['dtype']) == ('history', 'float32')
        and expected.contender in cell['contenders']
    }
    row = {**asdict(expected), 'kind': 'flat', 'family': 'history', 'measured': None, 'met': None}
    if expected.few in took and expected.many in took:
        row['measured'] = took[expected.many] / took[expected.few]
        row['met'] = row['measured'] <= expected.at_most
    return row
