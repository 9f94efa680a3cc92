"""The attention benchmark as a Markdown page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from sara_ros.evaluation.attention_speed.contenders import FOLDED
from sara_ros.evaluation.attention_speed.expected import crossovers
from sara_ros.evaluation.attention_speed.plots import AXIS, panels
from sara_ros.evaluation.formatting import NONE

MET: Final = {True: 'yes', False: '**no**', None: 'not measured'}


def markdown_table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a Markdown table."""
    lines = [heads, ['---'] * len(heads), *rows]
    return '\n'.join('| ' + ' | '.join(map(str, line)) + ' |' for line in lines)


def benchmark_page(result: Mapping[str, Any], picture: str, source: str) -> str:
    """
    Return the page: conditions, expectations, crossovers, and a table for each panel.

    :param picture: name of the plot beside the page.
    :param source: name of the JSON beside the page.
    """
    parts = [
        '# Attention benchmark',
        _conditions(result, source),
        f'![Speedups over the baselines]({picture})',
        '## Expected and measured',
        expected_table(result['expected']),
        '## Where a backend overtakes torch SDPA',
        crossover_table(result['cells']),
    ]
    for panel in panels(result['cells']):
        family, head_dim, dtype = panel
        cells = [c for c in result['cells'] if (c['family'], c['head_dim'], c['dtype']) == panel]
        title, unit = AXIS[family]
        parts += [f'## {title}, head size {head_dim}, {dtype}', speedup_table(cells, unit)]
    return '\n\n'.join(parts) + '\n'


def expected_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return expectations beside measurements."""
    heads = ('Measurement', 'Backend', 'Expected', 'Measured', 'Met')
    return markdown_table(heads, (_expectation(row) for row in rows))


def crossover_table(cells: Sequence[Mapping[str, Any]]) -> str:
    """Return the number of tokens from which each backend is faster, by dtype and head size."""
    found = crossovers(cells)
    settings = list(dict.fromkeys((row['dtype'], row['head_dim']) for row in found))
    by_key = {(row['contender'], row['dtype'], row['head_dim']): row for row in found}
    names = dict.fromkeys(row['contender'] for row in found)
    rows = [
        (name, *(crossover_text(by_key.get((name, *setting))) for setting in settings))
        for name in names
    ]
    heads = ('Backend', *(f'{dtype}, head size {dim}' for dtype, dim in settings))
    return markdown_table(heads, rows)


def crossover_text(row: Mapping[str, Any] | None) -> str:
    """Return a crossover in words."""
    if row is None:
        return NONE
    if row['from_tokens'] is None:
        return f'{row["bound"]} tokens, if at all'
    return f'{"at most" if row["bound"] else "about"} {row["from_tokens"]} tokens'


def speedup_table(cells: Sequence[Mapping[str, Any]], unit: str) -> str:
    """Return a row a contender and a column a size: median speedup, and its middle half."""
    names = dict.fromkeys(name for cell in cells for name in cell['contenders'])
    heads = (f'Times as fast as {cells[0]["baseline"]}', *(f'{c["size"]} {unit}' for c in cells))
    rows = [(name, *(_speedup(cell['contenders'].get(name)) for cell in cells)) for name in names]
    left_out = {
        f'`{name}` at {cell["size"]}: {why}' if 'GB' in why else f'`{name}`: {why}': None
        for cell in cells
        for name, why in cell['left_out'].items()
    }
    rounds = ', '.join(f'{cell["rounds"]}' for cell in cells)
    text = f'{markdown_table(heads, rows)}\n\nRounds: {rounds}.'
    return text + ''.join(f'\nLeft out: {line}.' for line in left_out)


MALLOC: Final = {
    True: 'As in the nodes, malloc keeps freed memory (`sara_ros/core/allocator.py`).',
    False: "Malloc returns freed memory to the kernel at the C library's own thresholds.",
}


def _conditions(result: Mapping[str, Any], source: str) -> str:
    machine, settings = result['machine'], result['settings']
    load = machine['load_average']
    peers = ', '.join(f'{name} {found}' for name, found in result['peers']['versions'].items())
    return (
        f'{machine["cpu"]}, {machine["logical_cores"]} cores, {machine["threads"]} threads, '
        f'torch {machine["torch"]}, {peers}.\n'
        f'Load average {load["before"]:.1f} before and {load["after"]:.1f} after a run of '
        f'{result["seconds"]:.0f} s.\n\n'
        f'Batch {settings["batch"]}, {settings["heads"]} heads; inputs are '
        f'{settings["inputs"]}.\n'
        f'{MALLOC[settings.get("freed_memory_kept", False)]}\n'
        'All contenders of a column are called once a round, in random order; a number is the '
        'median over rounds of the ratio to the baseline in the same round, with the middle half '
        'of the ratios in brackets.\n'
        f'`{FOLDED.strip()}`: the map lies in the projections, as when serving.\n'
        f'Source: [`{source}`]({source}), written by `make bench-attention`.'
    )


def _expectation(row: Mapping[str, Any]) -> tuple[str, ...]:
    measured = row['measured']
    if row['kind'] == 'flat':
        what = f'{AXIS["history"][0]}: cost at {row["many"]} frames over cost at {row["few"]}'
        shown = NONE if measured is None else f'{measured:.2f}'
        return what, row['contender'], f'at most {row["at_most"]:g}', shown, MET[row['met']]
    title, unit = AXIS[row['family']]
    what = f'{title}, {row["size"]} {unit}, head size {row["head_dim"]}, {row["dtype"]}'
    return what, row['contender'], f'{row["at_least"]:g}', _factor(measured), MET[row['met']]


def _speedup(row: Mapping[str, Any] | None) -> str:
    return NONE if row is None else _factor(row['speedup'])


def _factor(value: Mapping[str, float] | None) -> str:
    if value is None:
        return NONE
    return f'{value["median"]:.2f} ({value["q25"]:.2f}-{value["q75"]:.2f})'
