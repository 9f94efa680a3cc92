"""Expectations are judged by what was measured, and crossovers lie between measured sizes."""

from __future__ import annotations

import pytest

from sara_ros.evaluation.attention_speed.expected import crossovers, expectations
from sara_ros.evaluation.attention_speed.table import crossover_text


def cell(size, speedups, *, family='bidirectional', head_dim=64, time_us=1.0):
    """Return a cell of the JSON with these medians."""
    contenders = {
        name: {
            'speedup': {'median': value, 'q25': value, 'q75': value},
            'time_us': {'median': time_us, 'q25': time_us, 'q75': time_us},
        }
        for name, value in speedups.items()
    }
    return {
        'family': family, 'size': size, 'head_dim': head_dim, 'dtype': 'float32',
        'baseline': 'torch SDPA', 'contenders': contenders,
    }  # fmt: skip


def row_of(rows, contender, size, family='bidirectional'):
    """Return one expectation."""
    wanted = (contender, size, family)
    keys = ('contender', 'size', 'family')
    return next(row for row in rows if tuple(row.get(key) for key in keys) == wanted)


def test_expected_factor_is_compared_with_the_median():
    """Met, missed, and not measured are three different things."""
    rows = expectations([cell(197, {'sara': 1.5, 'taylor': 2.4}), cell(784, {'sara': 9.0})])
    assert row_of(rows, 'sara', 197)['met'] is True
    assert row_of(rows, 'taylor', 197)['met'] is False
    assert row_of(rows, 'taylor', 784)['met'] is None
    assert row_of(rows, 'sara', 1024, 'pct')['met'] is None


def test_other_head_sizes_do_not_count():
    """An expectation belongs to one cell."""
    rows = expectations([cell(197, {'sara': 5.0}, head_dim=32)])
    assert row_of(rows, 'sara', 197)['measured'] is None


@pytest.mark.parametrize(('last_us', 'met'), [(1.2, True), (1.3, False)])
def test_flat_cost_of_history(last_us, met):
    """64 frames may cost a quarter more than one."""
    cells = [
        cell(size, {'sara': 1.0}, family='history', time_us=time_us)
        for size, time_us in ((1, 1.0), (64, last_us))
    ]
    row = next(row for row in expectations(cells) if row['kind'] == 'flat')
    assert row['measured'] == pytest.approx(last_us)
    assert row['met'] is met


@pytest.mark.parametrize(
    ('speedups', 'tokens', 'text'),
    [
        ((0.5, 2.0, 8.0), 200, 'about 200 tokens'),  # halfway between 100 and 400, both in logs
        ((2.0, 3.0, 4.0), 100, 'at most 100 tokens'),
        ((0.1, 0.2, 0.5), None, 'above 1600 tokens, if at all'),
        ((2.0, 0.5, 2.0), 800, 'about 800 tokens'),  # from there on faster for good
    ],
)
def test_crossover(speedups, tokens, text):
    """From there on, not only there, the backend is faster."""
    cells = [cell(size, {'sara': s}) for size, s in zip((100, 400, 1600), speedups, strict=True)]
    (row,) = crossovers(cells)
    assert row['from_tokens'] == tokens
    assert crossover_text(row) == text


def test_forms_of_softmax_have_no_crossover():
    """They would cross where the noise does."""
    assert crossovers([cell(100, {'torch SDPA': 1.0, 'naive': 1.2, 'softmax': 1.01})]) == []
