"""Reproduces the theory behind the attention backends."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
import torch

from sara_ros.cli.train import progress_bar
from sara_ros.core import ParameterError
from sara_ros.evaluation.attention_theory.analysis import CROSSING, AnalysisOptions, analyse
from sara_ros.evaluation.attention_theory.findings import analysis_page
from sara_ros.evaluation.attention_theory.plot import analysis_png
from sara_ros.evaluation.files import write_bytes, write_json, write_text

NAME = 'analysis'
HOLDS = {True: '[green]yes[/]', False: '[bold red]no[/]', None: ''}


def analyze(
    out: Path, models_dir: Path, *, seconds: float, observations: int, threads: int
) -> bool:
    """
    Write ``analysis.json``, ``.png`` and ``.md`` into ``out``; return whether all claims hold.

    :param seconds: time to spend on the comparison with SDPA.
    :param observations: simulated observations that each model acts on.
    :raises ParameterError: for a time or a number that is not above 0.
    """
    if threads < 1:
        raise ParameterError(f'--threads is {threads}; must be at least 1')
    torch.set_num_threads(threads)
    timing = replace(CROSSING, seconds=seconds)
    options = AnalysisOptions(models_dir, observations=observations, timing=timing)
    result = analyse(options, progress_bar())
    return report(result, out)


def report(result: dict[str, Any], out: Path) -> bool:
    """Write the files, print the table, and return whether all claims hold."""
    write_json(out / f'{NAME}.json', result)
    write_bytes(out / f'{NAME}.png', analysis_png(result))
    write_text(out / f'{NAME}.md', analysis_page(result, f'{NAME}.png'))
    table = Table('statement', 'expected', 'measured', 'holds')
    for row in result['findings']:
        table.add_row(row['statement'], row['expected'], row['measured'], HOLDS[row['holds']])
    Console().print(table)
    print(f'report: {out / NAME}.md')
    return all(row['holds'] is not False for row in result['findings'])
