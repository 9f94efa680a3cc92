"""The success table as Markdown: for the README, and as a page with every task and variation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sara_ros.evaluation.attention_speed.table import markdown_table
from sara_ros.evaluation.formatting import NONE
from sara_ros.evaluation.success_models import COLUMNS, column_order

Row = Mapping[str, Any]

LEGEND: Final = (
    'Success in percent with the Wilson 95 % interval; below it the difference to the softmax '
    'model with the same extra steps, in points, on the same episodes (Newcombe 95 %). `act` is '
    'the time of one observation on one CPU thread; the models of a policy take turns.'
)


def success_table(result: Mapping[str, Any], suites: Sequence[str] = ()) -> str:
    """
    Return policies and suites by backends, and what each takes for one observation.

    :param suites: those to show; all when empty.
    """
    rows = [row for row in result['rows'] if not suites or row['suite'] in suites]
    found = {row['backend'] for row in rows}
    backends = sorted(found | set(COLUMNS), key=column_order)
    lines = []
    for policy in _distinct(rows, 'policy'):
        own = [row for row in rows if row['policy'] == policy]
        for suite in _distinct(own, 'suite'):
            cells = [_cell(_find(own, suite=suite, backend=name)) for name in backends]
            lines.append([f'`{policy}`', suite, *cells])
        times = [_act_time(_find(own, backend=name)) for name in backends]
        lines.append([f'`{policy}`', 'act, p50 ms', *times])
    return markdown_table(['policy', 'suite', *backends], lines)


def success_page(result: Mapping[str, Any], picture: str, source: str) -> str:
    """
    Return the page.

    :param picture: name of the plot beside it.
    :param source: name of the JSON beside it.
    """
    rows = result['rows']
    parts = [
        '# Closed-loop success',
        _conditions(result, source),
        f'![Success by policy, suite and backend]({picture})',
        success_table(result),
        LEGEND,
        *_gap_section(rows),
        '## By task',
        *(_task_section(rows, suite) for suite in _distinct(rows, 'suite')),
    ]
    if result['skipped']:
        parts += ['## Not played', _skipped(result['skipped'])]
    return '\n\n'.join(parts) + '\n'


def percent(share: float) -> str:
    """Return a share in percent with one decimal."""
    return f'{100 * share:.1f}'


def points(difference: float) -> str:
    """Return a difference of shares in points, with its sign."""
    return f'{100 * difference:+.1f}'


def _cell(row: Row | None) -> str:
    if row is None:
        return NONE
    low, high = row['ci95']
    text = f'{percent(row["success"])} ({percent(low)} to {percent(high)})'
    against = row.get('against_control')
    return f'{text}<br>{_gap(against)}' if against else text


def _gap(against: Mapping[str, Any] | None) -> str:
    if against is None:
        return NONE
    low, high = against['ci95']
    gap = f'{points(against["difference"])} ({points(low)} to {points(high)})'
    return gap if against['paired'] else f'{gap}, not paired'


def _act_time(row: Row | None) -> str:
    spent = row.get('act_ms') if row else None
    return f'{spent["p50"]:.1f}' if spent else NONE


def _gap_section(rows: Sequence[Row]) -> list[str]:
    suites = [suite for suite in _distinct(rows, 'suite') if suite != 'standard']
    if not suites:
        return []
    lines = []
    for model in _distinct(rows, 'model_id'):
        own = [row for row in rows if row['model_id'] == model]
        gaps = [_gap((_find(own, suite=name) or {}).get('against_standard')) for name in suites]
        if set(gaps) != {NONE}:
            lines.append([f'`{model}`', *gaps])
    return [
        '## What each variation costs',
        'Difference to the same model in the standard suite, in points, on the sixteen tasks.',
        markdown_table(['model', *suites], lines),
    ]


def _task_section(rows: Sequence[Row], suite: str) -> str:
    own = [row for row in rows if row['suite'] == suite]
    names = list(dict.fromkeys(name for row in own for name in row['per_task']))
    lines = [
        [name, *(_counted(row['per_task'].get(name)) for row in own)]
        for name in names
    ]  # fmt: skip
    return f'### {suite}\n\n' + markdown_table(
        ['task', *(f'`{row["model_id"]}`' for row in own)], lines
    )


def _counted(counts: Mapping[str, Any] | None) -> str:
    return f'{counts["successes"]}/{counts["episodes"]}' if counts else NONE


def _conditions(result: Mapping[str, Any], source: str) -> str:
    rows = result['rows']
    if not rows:
        return f'No row is complete. Source: [`{source}`]({source}).'
    first = min(row['seeds'][0] for row in rows)
    last = max(row['seeds'][1] for row in rows)
    least = min(row['episodes'] for row in rows)
    return (
        f'At least {least} episodes a row, seeds {first} to {last}, which no training, DAgger '
        f'round or choice of a checkpoint uses; every model plays the same. '
        f'{_machines(result)}. Source: [`{source}`]({source}).'
    )


def _machines(result: Mapping[str, Any]) -> str:
    """Return what the rows were measured on, and which rows on another machine than the first."""
    rows: dict[int, list[str]] = {}
    for row in result['rows']:
        rows.setdefault(row['machine'], []).append(f'`{row["model_id"]}` ({row["suite"]})')
    parts: list[str] = []
    for index, own in rows.items():
        machine = result['machines'][index]
        name = f'{machine["cpu"]}, {machine["logical_cores"]} cores'
        parts.append(f'{name} for {", ".join(own)}' if parts else name)
    return '; '.join(parts)


def _skipped(skipped: Mapping[str, str]) -> str:
    return '\n'.join(f'- `{name}`: {reason}' for name, reason in skipped.items())


def _distinct(rows: Sequence[Row], name: str) -> list[str]:
    return list(dict.fromkeys(row[name] for row in rows))


def _find(rows: Sequence[Row], **wanted: str) -> Row | None:
    matching = (row for row in rows if all(row[key] == value for key, value in wanted.items()))
    return next(matching, None)
