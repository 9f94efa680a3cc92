"""The success table of several runs: what one measured is added to what is there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import json
from pathlib import Path
from typing import Any, Final

from sara_ros.core import ParameterError
from sara_ros.evaluation.intervals import difference
from sara_ros.evaluation.success_models import column_order
from sara_ros.sim.suites import STANDARD_SUITE, SUITES

SCHEMA: Final = 'sara_ros.success/2'

Row = Mapping[str, Any]
Table = Mapping[str, Any]


def read_table(path: Path) -> dict[str, Any] | None:
    """
    Return the table in a file; ``None`` where there is none.

    :raises ParameterError: for a file that is not such a table.
    """
    if not path.exists():
        return None
    try:
        found = json.loads(path.read_text(encoding='utf-8'))
        schema = found['schema']
    except (OSError, ValueError, TypeError, KeyError) as err:
        raise ParameterError(
            f'{path} is not a success table ({err}); move it away or choose another --out'
        ) from err
    if schema != SCHEMA:
        raise ParameterError(
            f'{path} is of schema {schema}, not {SCHEMA}; move it away or choose another --out'
        )
    return dict(found)


def joined(earlier: Table | None, table: Table, weights: Mapping[str, str]) -> dict[str, Any]:
    """
    Return ``table`` with the rows that only ``earlier`` has.

    :param weights: SHA-256 by model of those that are there now; rows of other weights go.
    """
    machines = list(table['machines'])
    rows = list(table['rows'])
    measured = {(row['model_id'], row['suite']) for row in rows}
    if earlier is None:
        earlier = {'rows': (), 'machines': ()}
    for row in earlier['rows']:
        superseded = weights.get(row['model_id'], row['sha256']) != row['sha256']
        if superseded or (row['model_id'], row['suite']) in measured:
            continue
        machine = earlier['machines'][row['machine']]
        if machine not in machines:
            machines.append(machine)
        rows.append({**row, 'machine': machines.index(machine)})
    rows.sort(key=_order)
    rows = [_with_gap(row, rows) for row in rows]
    return {**table, 'rows': rows, 'machines': machines}


def _order(row: Row) -> tuple[int, str, tuple[int, str]]:
    suites = list(SUITES)
    rank = suites.index(row['suite']) if row['suite'] in suites else len(suites)
    return rank, row['policy'], column_order(row['backend'])


def _with_gap(row: Row, rows: Sequence[Row]) -> Row:
    """
    Compare with the standard suite by counts, where the episodes are of different runs.

    What a run compared itself is better, because it knows the pairs.
    """
    if row['suite'] == STANDARD_SUITE.name or row['against_standard'] is not None:
        return row
    wanted = (row['sha256'], STANDARD_SUITE.name)
    other = next((each for each in rows if (each['sha256'], each['suite']) == wanted), None)
    if other is None:
        return row
    tasks = row['per_task'].keys() & other['per_task'].keys()
    if not tasks:
        return row
    ours, theirs = _counts(row, tasks), _counts(other, tasks)
    gap, ends = difference(ours, theirs)
    against = {
        'model_id': row['model_id'],
        'suite': STANDARD_SUITE.name,
        'episodes': ours[1],
        'difference': round(gap, 4),
        'ci95': [round(end, 4) for end in ends],
        'paired': False,
    }
    return {**row, 'against_standard': against}


def _counts(row: Row, tasks: set[str]) -> tuple[int, int]:
    counted = [row['per_task'][task] for task in tasks]
    return (
        sum(each['successes'] for each in counted),
        sum(each['episodes'] for each in counted),
    )
