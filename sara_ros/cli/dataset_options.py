"""Options of the commands that make data sets of bags."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_options(parser: argparse.ArgumentParser) -> None:
    """Describe the options of ``sara-ros dataset``."""
    parser.add_argument(
        'bags', nargs='+', type=Path, metavar='BAG', help='rosbag2 folder or file, or ROS 1 bag'
    )
    parser.add_argument(
        '--out', type=Path, required=True, metavar='FOLDER', help='the data set; must not be there'
    )
    add_bag_options(parser)


def add_bag_options(parser: argparse.ArgumentParser) -> None:
    """Describe what bags do not say about themselves."""
    group = parser.add_argument_group('bags', 'what bags do not say about themselves')
    group.add_argument('--map', type=Path, help='YAML: which topics are what; see docs/replay.md')
    group.add_argument(
        '--topic', action='append', default=[], metavar='NAME=TOPIC',
        help='of an observation, such as joint_positions=/arm/joint_states',
    )  # fmt: skip
    group.add_argument(
        '--camera', action='append', default=[], metavar='TOPIC',
        help='image topic, the first one drives; empty: the only one of the bag, and all of a '
        'LeRobot folder, where a camera goes by its name',
    )  # fmt: skip
    group.add_argument(
        '--fps', type=int, default=0, help='frames a second; 0: the rate of the camera'
    )
    group.add_argument('--instruction', default='', help="empty: the bag's or the map's")
