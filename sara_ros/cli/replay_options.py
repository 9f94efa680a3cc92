"""Options of ``sara-ros replay``, apart from what carries it out, which is slow to import."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Final

from sara_ros.core import ParameterError
from sara_ros.core.files import make_writable

MOST_LATENCY_MS: Final = 60_000
MOST_RATE_HZ: Final = 100_000
MOST_AT_ONCE: Final = 1024


def add_options(parser: argparse.ArgumentParser) -> None:
    """Describe the options of the command."""
    parser.add_argument(
        'bags', nargs='+', type=Path, metavar='BAG', help='rosbag2, ROS 1 bag or LeRobot folder'
    )
    parser.add_argument('--model', required=True, metavar='MODEL[@BACKEND]', help='what to replay')
    parser.add_argument(
        '--against', nargs='+', default=[], metavar='MODEL[@BACKEND]', help='beside it'
    )
    parser.add_argument('--map', type=Path, help='YAML: which topics are what; see docs/replay.md')
    parser.add_argument(
        '--topic', action='append', default=[], metavar='NAME=TOPIC', help='of an observation'
    )
    parser.add_argument('--instruction', default='', help="empty: the recording's or the map's")
    parser.add_argument('--episodes', nargs='+', type=int, default=[], help='of LeRobot folders')
    parser.add_argument(
        '--latency-ms', type=float, default=0.0, help='time the model takes, on the bag clock'
    )
    parser.add_argument(
        '--rate-hz', type=float, default=0.0, help='of deadlines; 0: the command rate of the model'
    )
    parser.add_argument('--json', type=Path, help='write the report to this file')
    parser.add_argument('--html', type=Path, help='write a page to this file')
    parser.add_argument('--mcap', type=Path, help='write the predictions into this folder')
    parser.add_argument('--max-error', type=float, help='fail above this mean absolute error')
    parser.add_argument('--max-p95-ms', type=float, help='fail above this p95 of the policy')
    parser.add_argument('--workers', type=int, default=1, help='processes at once')
    parser.add_argument(
        '--cluster', default='', metavar='ADDRESS', help='of Ray: local, auto or HOST:PORT'
    )
    parser.add_argument('--device', default='cpu', help='torch device')
    parser.add_argument('--threads', type=int, default=1, help='CPU threads of each process')
    parser.add_argument(
        '--live', action='store_true', help='also play in real time through the live graph (ROS)'
    )


def check_options(options: argparse.Namespace) -> None:
    """
    Check numbers and places of output before anything is replayed.

    :raises ParameterError: naming the option and what it may be.
    """
    limits = {
        'latency_ms': (0, MOST_LATENCY_MS), 'rate_hz': (0, MOST_RATE_HZ),
        'workers': (1, MOST_AT_ONCE), 'threads': (1, MOST_AT_ONCE),
        'max_error': (0, math.inf), 'max_p95_ms': (0, math.inf),
    }  # fmt: skip
    for name, (least, most) in limits.items():
        value = getattr(options, name)
        if value is not None and not least <= value <= most:
            option = name.replace('_', '-')
            raise ParameterError(f'--{option} is {value}; it must be from {least} to {most}')
    for name in ('json', 'html'):
        path = getattr(options, name)
        if path is not None and path.is_dir():
            raise ParameterError(f'--{name} {path} is a folder; give the name of a file')
        if path is not None:
            _make_folder(f'--{name}', path.parent)
    if options.mcap is not None:
        _make_folder('--mcap', options.mcap)


def _make_folder(option: str, path: Path) -> None:
    try:
        make_writable(path)
    except OSError as err:
        raise ParameterError(f'{option}: nothing can be written to {path}: {err}') from err
