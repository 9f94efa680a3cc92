"""Write the Gazebo files of config/gazebo from the MuJoCo scene; run it after a change of that."""

from __future__ import annotations

from pathlib import Path
import sys

from sara_ros.evaluation.files import write_text
from sara_ros.sim.gazebo_export import FILES, gazebo_text

FOLDER = Path(__file__).resolve().parents[1] / 'config' / 'gazebo'


def main() -> int:
    """Write every file."""
    for name in FILES:
        write_text(FOLDER / name, gazebo_text(name))
        print(FOLDER / name)
    return 0


if __name__ == '__main__':
    sys.exit(main())
