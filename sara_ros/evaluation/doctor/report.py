"""Shows check results: a table on a terminal, one line each elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, TextIO

from sara_ros.core.health import Level
from sara_ros.evaluation.doctor.result import WORDS, CheckResult, worst_level

STYLES: Final = {Level.OK: 'green', Level.WARN: 'yellow', Level.ERROR: 'bold red'}


def print_results(results: Sequence[CheckResult], stream: TextIO) -> None:
    """Print ``results`` and how many are not well."""
    if stream.isatty():
        _print_table(results, stream)
    else:
        for each in results:
            advice = f' -> {each.advice}' if each.advice else ''
            print(f'{WORDS[each.level]}: {each.check}: {each.seen}{advice}', file=stream)
    print(summary(results), file=stream, flush=True)


def summary(results: Sequence[CheckResult]) -> str:
    """Return the counts in one line."""
    count = {level: sum(each.level == level for each in results) for level in WORDS}
    parts = [f'{count[level]} {WORDS[level]}' for level in WORDS]
    return f'{len(results)} checks: {", ".join(parts)}'


def as_json(results: Sequence[CheckResult]) -> dict[str, Any]:
    """Return the report for ``--json``."""
    return {
        'level': WORDS[worst_level(results)],
        'results': [each.to_dict() for each in results],
    }


def _print_table(results: Sequence[CheckResult], stream: TextIO) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table('', 'check', 'seen', 'what to do')
    for each in results:
        level = Text(WORDS[each.level], STYLES[each.level])
        table.add_row(level, Text(each.check), Text(each.seen), Text(each.advice))
    Console(file=stream, highlight=False).print(table)
