"""Time two computations in turn, so that what else the machine does meets both alike."""

from __future__ import annotations

from collections.abc import Callable
import statistics
import time
from typing import Final

import torch

ROUNDS: Final = 21
LEAST_ROUNDS: Final = 3
BUDGET_SEC: Final = 0.5


@torch.inference_mode()
def median_seconds(
    first: Callable[[], object], second: Callable[[], object], device: torch.device
) -> tuple[float, float]:
    """
    Return the median duration of each in s, over 3 to 21 rounds within about half a second.

    :param device: where they run; a GPU is waited for.
    """
    durations: tuple[list[float], list[float]] = ([], [])
    for call in (first, second):
        _seconds(call, device)
    begin = time.perf_counter()
    for index in range(ROUNDS):
        if index >= LEAST_ROUNDS and time.perf_counter() - begin > BUDGET_SEC:
            break
        for call, into in zip((first, second), durations, strict=True):
            into.append(_seconds(call, device))
    return statistics.median(durations[0]), statistics.median(durations[1])


def _seconds(call: Callable[[], object], device: torch.device) -> float:
    begin = time.perf_counter()
    call()
    if device.type == 'cuda':
        torch.cuda.synchronize(device)
    return time.perf_counter() - begin
