"""How many CPU threads the models of this process use."""

from __future__ import annotations

import torch


def limit_threads(count: int) -> None:
    """Let torch use ``count`` threads; 0 leaves its own choice, one per core."""
    if count:
        torch.set_num_threads(count)
