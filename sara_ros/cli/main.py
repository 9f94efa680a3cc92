"""Entry point of the ``sara-ros`` command."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
import sys

from sara_ros import __version__
from sara_ros.core import SaraError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a subcommand and return the exit code: 0 done, 1 failed, 2 wrong usage, 130 Ctrl-C."""
    options = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], int] = options.command
    try:
        return command(options)
    except SaraError as err:
        print(f'sara-ros {options.name}: {err}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f'sara-ros {options.name}: stopped', file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog='sara-ros', description='Serve transformer robot policies over ROS 2.'
    )
    parser.add_argument('--version', action='version', version=f'sara_ros {__version__}')
    commands = parser.add_subparsers(dest='name', required=True, metavar='COMMAND')
    demo = _add(commands, 'demo', _demo, 'policies move a simulated arm over ROS 2')
    demo.add_argument(
        '--out', type=Path, default=Path('out/demo'), help='folder of the report, made anew'
    )
    real = _add(commands, 'demo-real', _demo_real, 'recordings of real sensors through the nodes')
    real.add_argument(
        '--out', type=Path, default=Path('out/demo-real'), help='folder of the report, made anew'
    )
    real.add_argument(
        '--data', type=Path, default=Path('../shared/data'), help='folder of the recordings'
    )
    return parser


def _add(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    command: Callable[[argparse.Namespace], int],
    description: str,
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=description, description=description)
    parser.set_defaults(command=command)
    return parser


def _demo(options: argparse.Namespace) -> int:
    from sara_ros.cli.demo import run_demo

    print(f'report: {run_demo(options.out)}')
    return 0


def _demo_real(options: argparse.Namespace) -> int:
    from sara_ros.cli.demo_real import run_demo_real

    print(f'report: {run_demo_real(options.out, options.data)}')
    return 0


if __name__ == '__main__':
    raise SystemExit(main())
