"""What malloc does with the memory of large arrays once they are freed."""

from __future__ import annotations

import ctypes
from typing import Final

KEPT_BYTES: Final = 256 * 2**20
"""Free memory up to this much stays with the process."""
_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3


def keep_freed_memory() -> bool:
    """
    Have malloc reuse freed memory rather than return it to the kernel after each inference.

    The tensors of a transformer layer are a few hundred kB to a few MB. Left alone, glibc gives
    such memory back at once, and every page of the next tensor costs a page fault: at 784 tokens
    of 6 heads of 64 linear attention then takes twice the time.

    :returns: False where the C library is not glibc, which is left as it is.
    """
    libc = ctypes.CDLL(None)
    if not hasattr(libc, 'mallopt'):
        return False
    accepted = [
        libc.mallopt(option, KEPT_BYTES) for option in (_M_MMAP_THRESHOLD, _M_TRIM_THRESHOLD)
    ]
    return accepted == [1, 1]
