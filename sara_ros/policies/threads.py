"""How many CPU threads the models of this process use."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


def limit_threads(count: int) -> None:
    """Let torch use ``count`` threads; 0 leaves its own choice, one per core."""
    if count:
        torch.set_num_threads(count)


@contextmanager
def one_thread() -> Iterator[None]:
    """
    Let torch use one thread in this block.

    Several wait for each other actively: on a machine with other work one is many times faster.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
