"""Gradients that are spread over ranks (DTensor): what of them is here, and what they are whole.

Nothing of `torch.distributed` is imported before such a gradient is seen.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor


def is_distributed(tensor: Tensor) -> bool:
    """Whether the tensor is a DTensor."""
    return hasattr(tensor, "device_mesh")


def local(tensor: Tensor) -> Tensor:
    """The part of a distributed tensor that is on this rank; any other tensor itself."""
    return cast("Any", tensor).to_local() if is_distributed(tensor) else tensor


def whole(tensor: Tensor) -> Tensor:
    """A plain tensor, complete over the ranks that share it. Cost: a collective if they do."""
    return cast("Any", tensor).full_tensor() if is_distributed(tensor) else tensor


def is_partial(tensor: Tensor) -> bool:
    """Whether the tensor is still a sum over ranks that nobody has taken."""
    return any(place.is_partial() for place in getattr(tensor, "placements", ()))


def placed_like(tensor: Tensor, model: Tensor) -> Tensor:
    """The tensor, spread over ranks as `model` is."""
    if not is_distributed(model):
        return tensor
    spread = cast("Any", model)
    return cast("Any", tensor).redistribute(spread.device_mesh, spread.placements)


def largest_magnitude(tensor: Tensor) -> Tensor:
    """The largest magnitude of a distributed tensor over all ranks, [], infinite for a NaN.

    A rank may hold no element, of which there is no largest: torch's own norm raises on that
    rank, and the others wait for it for ever. A NaN becomes infinite, because reductions over
    ranks may pass it by.
    """
    from torch.distributed.tensor import DTensor, Partial

    if is_partial(tensor):
        return whole(tensor).abs().max()
    mesh, here = cast("Any", tensor).device_mesh, local(tensor).abs()
    peak = here.max() if here.numel() else here.new_zeros(())
    peak = torch.where(torch.isnan(peak), torch.inf, peak)
    return whole(DTensor.from_local(peak, mesh, [Partial("max")] * mesh.ndim))
