"""Hands out ROS domains to sessions that run at the same time on one machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
import fcntl
import os
from pathlib import Path
import tempfile
from typing import Final, TextIO

from sara_ros.core.errors import ParameterError

# Above 101, Linux hands the ports of a domain out to other programs.
DOMAINS: Final = range(1, 102)


@contextmanager
def claim_domain() -> Iterator[int]:
    """
    Yield a domain that no other session of this package on this machine uses meanwhile.

    The claim is a lock on a file, so it ends with the process however that ends.

    :raises ParameterError: when all domains are claimed.
    """
    folder = Path(tempfile.gettempdir()) / f'sara_ros_domains_{os.getuid()}'
    folder.mkdir(exist_ok=True)
    # Neighbouring processes start at different places, so a lock is rarely contended.
    first = os.getpid() % len(DOMAINS)
    for domain in [*DOMAINS[first:], *DOMAINS[:first]]:
        with (folder / str(domain)).open('w') as handle:
            if _lock(handle):
                yield domain
                return
    raise ParameterError(f'all {len(DOMAINS)} ROS domains are claimed, see {folder}')


def _lock(handle: TextIO) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
