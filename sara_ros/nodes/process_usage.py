"""What this process takes of its machine."""

from __future__ import annotations

import os
import sys
import time
from typing import Any, Final

import psutil

_PROCESS: Final = psutil.Process()
_STARTED_SEC: Final = time.monotonic() - max(time.time() - _PROCESS.create_time(), 0.0)


def process_usage() -> dict[str, Any]:
    """
    Return the fields of ``PolicyStatus`` that tell of the process; takes about 20 us.

    CPU time and age are counters: a share of the processor is the ratio of their growths, over
    whatever span the reader likes. The GPU is asked only where torch uses one already.
    """
    return {
        'pid': os.getpid(),
        'running_sec': time.monotonic() - _STARTED_SEC,
        'cpu_time_sec': time.process_time(),
        'memory_bytes': int(_PROCESS.memory_info().rss),
        'gpu_memory_bytes': _gpu_memory_bytes(),
    }


def _gpu_memory_bytes() -> int:
    cuda: Any = getattr(sys.modules.get('torch'), 'cuda', None)
    # Another thread may be importing torch right now.
    if cuda is None or not hasattr(cuda, 'is_initialized') or not cuda.is_initialized():
        return 0
    return sum(int(cuda.memory_allocated(index)) for index in range(cuda.device_count()))
