"""Computing in at least single precision, whatever autocast says."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch


def at_least_float32(dtype: torch.dtype) -> torch.dtype:
    """`dtype`, or float32 where it is a half-precision one."""
    return torch.promote_types(dtype, torch.float32)


def outside_autocast(device: torch.device) -> AbstractContextManager[object]:
    """Within it, autocast chooses no dtype on the device."""
    if not torch.amp.is_autocast_available(device.type):
        return nullcontext()
    return torch.autocast(device.type, enabled=False)


def computing_dtype(dtype: torch.dtype, device: torch.device) -> torch.dtype:
    """The dtype in which a matrix product of `dtype` runs: autocast's while it is on."""
    if torch.amp.is_autocast_available(device.type) and torch.is_autocast_enabled(device.type):
        return torch.get_autocast_dtype(device.type)
    return dtype
