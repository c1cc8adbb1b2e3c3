"""Memory of the process and of the accelerator, as the system tells it. No synchronisation."""

from __future__ import annotations

import os
import sys
from functools import cache
from pathlib import Path

import torch


def resident_bytes() -> float:
    """Resident memory of this process now; its peak where the system tells no more; NaN if neither.

    Without pages of mapped files: a data set that is read through a map fills memory that is given
    back whenever it is needed.
    """
    try:
        pages, shared = map(int, Path("/proc/self/statm").read_bytes().split()[1:3])
        return float((pages - shared) * os.sysconf("SC_PAGE_SIZE"))
    except (OSError, ValueError, IndexError):
        return _peak_bytes()


def _peak_bytes() -> float:
    try:
        import resource
    except ImportError:
        return float("nan")
    unit = 1 if sys.platform == "darwin" else 1024
    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit)


@cache
def _accelerator() -> str | None:
    return "cuda" if torch.cuda.is_available() else None


def device_bytes() -> float:
    """Allocated memory of the current CUDA device; NaN without one."""
    return float(torch.cuda.memory_allocated()) if _accelerator() else float("nan")
