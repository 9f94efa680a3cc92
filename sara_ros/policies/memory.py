"""Gives the memory of models that are gone back to the system."""

from __future__ import annotations

import ctypes

import torch


def return_memory() -> None:
    """Return free memory of the C library, and of CUDA where it is in use."""
    trim = getattr(ctypes.CDLL(None), 'malloc_trim', None)  # not in every C library
    if trim is not None:
        trim(0)
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.empty_cache()
