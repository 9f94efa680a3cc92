"""Options of ``sara-ros replay``, apart from what carries it out, which is slow to import."""

from __future__ import annotations

import argparse
from pathlib import Path


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
