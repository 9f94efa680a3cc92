"""Options of the commands that play the simulated tabletop: collect, dagger and evaluate."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_evaluate(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``evaluate``."""
    parser.add_argument('model', nargs='?', default='', help='folder below the models')
    parser.add_argument(
        '--all', action='store_true', help='every model that fits the tabletop, as a table'
    )
    parser.add_argument(
        '--suite', action='append', default=[], metavar='NAME',
        help='standard, harder, new-tasks, or one variation; repeat it with --all',
    )  # fmt: skip
    parser.add_argument(
        '--policy', action='append', default=[], metavar='NAME',
        help='with --all: this model and what was up-trained from it only; repeatable',
    )  # fmt: skip
    parser.add_argument('--backend', default='', help="attention backend; empty: the model's own")
    parser.add_argument(
        '--episodes', type=int, default=500, help='least episodes of a suite; whole rounds of it'
    )
    parser.add_argument('--workers', type=int, default=1, help='processes at once')
    parser.add_argument('--device', default='cpu', help='torch device')
    parser.add_argument(
        '--out', type=Path, default=Path('out/evaluate'),
        help='folder of the table and of episodes played, which are not played again',
    )  # fmt: skip
    parser.add_argument(
        '--json', type=Path, help='file of the result; MODEL-SUITE.json below --out'
    )
    parser.add_argument('--record', action='store_true', help='write it into policy.json')
    parser.add_argument(
        '--choose', action='store_true',
        help='other seeds, for choosing a checkpoint; such results are not reported',
    )  # fmt: skip


def add_collect(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``collect``."""
    parser.add_argument('recipe', help='whose frames: rt2-tabletop or pct-tabletop')
    parser.add_argument('--frames', type=int, default=0, help="0: the recipe's")
    parser.add_argument('--seed', type=int, default=0, help='0 to 3; another gives other scenes')
    _add_places(parser, 'the folder that train looks in')


def add_dagger(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``dagger``."""
    parser.add_argument('model', help='the learner, a folder below the models')
    parser.add_argument('--frames', type=int, default=4000, help='frames of this round')
    parser.add_argument(
        '--seed', type=int, default=0, help='0 to 194; another gives another round'
    )
    _add_places(parser, 'out/train/MODEL/dagger-SEED')


def _add_places(parser: argparse.ArgumentParser, default: str) -> None:
    parser.add_argument('--out', type=Path, help=f'folder of the frames; {default}')
    parser.add_argument('--workers', type=int, default=2, help='processes at once')
    parser.add_argument('--shard', type=int, default=500, help='frames a process writes at once')
