"""Time every attention backend: ``make bench-attention``; ``--table`` writes the page in docs."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
import json
from pathlib import Path
import sys
from typing import Any

import torch

from sara_ros.cli.train import progress_bar
from sara_ros.core import ParameterError, SaraError
from sara_ros.evaluation.attention_speed.benchmark import QUICK, BenchmarkOptions, run_benchmark
from sara_ros.evaluation.attention_speed.peers import INSTALL, NOT_INSTALLED, peer_versions
from sara_ros.evaluation.attention_speed.plots import benchmark_png
from sara_ros.evaluation.attention_speed.table import benchmark_page
from sara_ros.evaluation.files import write_bytes, write_json, write_text

ROOT = Path(__file__).resolve().parents[1]
PAGE = 'attention-benchmark'


def measure(out: Path, options: BenchmarkOptions) -> dict[str, Any]:
    """Run the benchmark and write ``out`` (JSON) and a plot of the same name."""
    missing = [name for name, found in peer_versions().items() if found == NOT_INSTALLED]
    if missing:
        print(f'without {", ".join(missing)}; to time them as well:\n  {INSTALL}')
        print('  PYTHONPATH=out/peers .venv/bin/python benchmarks/attention.py')
    result = run_benchmark(options, progress_bar())
    write_json(out, result)
    write_bytes(out.with_suffix('.png'), benchmark_png(result))
    return result


def publish(source: Path, docs: Path) -> Path:
    """
    Write JSON, plot and page of a finished run into ``docs`` and return the page.

    :raises ParameterError: when ``source`` is not there.
    """
    if not source.is_file():
        raise ParameterError(f'--out is {source}, which does not exist; run the benchmark first')
    result = json.loads(source.read_text(encoding='utf-8'))
    page = docs / f'{PAGE}.md'
    write_json(page.with_suffix('.json'), result)
    write_bytes(page.with_suffix('.png'), benchmark_png(result))
    write_text(page, benchmark_page(result, f'{PAGE}.png', f'{PAGE}.json'))
    return page


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, or write the page of an earlier measurement."""
    options = _parser().parse_args(arguments)
    try:
        if options.threads:
            set_threads(options.threads)
        if options.table:
            print(f'page: {publish(options.out, options.docs)}')
            return 0
        grid = QUICK if options.quick else BenchmarkOptions()
        seconds = grid.seconds if options.seconds is None else options.seconds
        measure(options.out, replace(grid, seconds=seconds, backends=tuple(options.backends)))
    except SaraError as err:
        print(f'bench-attention: {err}', file=sys.stderr)
        return 1
    print(f'result: {options.out}\nplot: {options.out.with_suffix(".png")}')
    return 0


def set_threads(count: int) -> None:
    """
    Let torch use ``count`` threads.

    :raises ParameterError: for a count below 1.
    """
    if count < 1:
        raise ParameterError(f'--threads is {count}; must be at least 1')
    torch.set_num_threads(count)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description='Time attention backends against torch SDPA.')
    parser.add_argument(
        '--out', type=Path, default=Path('out/bench/attention.json'), help='result; plot beside it'
    )
    parser.add_argument('--seconds', type=float, help='time to spend; 360, or 2 with --quick')
    parser.add_argument('--threads', type=int, default=0, help="0: torch's own choice")
    parser.add_argument('--backends', nargs='+', default=[], help='backends; all when left out')
    parser.add_argument('--quick', action='store_true', help='two sizes and few rounds')
    parser.add_argument('--table', action='store_true', help='write the page of --out, no timing')
    parser.add_argument('--docs', type=Path, default=ROOT / 'docs', help='folder of the page')
    return parser


if __name__ == '__main__':
    sys.exit(main())
