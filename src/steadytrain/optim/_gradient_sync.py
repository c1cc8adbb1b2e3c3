"""What a data-parallel wrapper does with gradients: put off while accumulating, averaged once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn


def averages_gradients(model: nn.Module | None) -> bool:
    """Whether a wrapper (DDP, FSDP1, FSDP2) averages the gradients of `model` over ranks."""
    wrapped = hasattr(model, "no_sync") or hasattr(model, "set_requires_gradient_sync")
    return wrapped and dist.is_available() and dist.is_initialized()


@contextmanager
def synchronising(model: nn.Module | None, *, wanted: bool) -> Iterator[None]:
    """A forward and backward pass whose gradients are averaged over ranks only where `wanted`."""
    if wanted or not averages_gradients(model):
        yield
        return
    wrapper: Any = model
    if hasattr(wrapper, "no_sync"):
        with wrapper.no_sync():
            yield
        return
    wrapper.set_requires_gradient_sync(False)
    try:
        yield
    finally:
        wrapper.set_requires_gradient_sync(True)


def num_ranks(model: nn.Module | None) -> int:
    """Over how many ranks the gradients of `model` are averaged."""
    return dist.get_world_size(_group(model)) if averages_gradients(model) else 1


def sum_over_ranks(count: int | Tensor, model: nn.Module) -> int | Tensor:
    """The sum of every rank's `count`; on the host where the model is, else on its device."""
    device = next(model.parameters()).device
    total = torch.as_tensor(count, dtype=torch.int64, device=device).clone()
    dist.all_reduce(total, group=_group(model))
    return int(total) if device.type == "cpu" else total


def _group(model: nn.Module | None) -> Any:
    return getattr(model, "process_group", None)
