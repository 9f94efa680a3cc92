"""Create the environment that every `make` target of this repository runs in."""

import sys

if sys.version_info < (3, 10):  # noqa: UP036
    sys.exit(
        'sara_ros needs Python 3.10 or newer, this is {}.{}. '
        'Run it with another one: make env PYTHON=python3.11'.format(*sys.version_info[:2])
    )

from environment.main import main

if __name__ == '__main__':
    sys.exit(main())
