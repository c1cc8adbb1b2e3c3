"""What of a tensor is copied: the part on this rank, each element in memory once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn.parameter import is_lazy

from steadytrain.optim._shards import local


def has_data(tensor: Tensor) -> bool:
    """Whether there is something to copy: a lazy or a meta tensor has no elements yet."""
    return not is_lazy(tensor) and tensor.device.type != "meta"


def elements(tensor: Tensor) -> Tensor:
    """The tensor's own memory, without its gradient: of a DTensor the shard on this rank."""
    # a sparse tensor that is detached has its own list of elements from then on
    return local(tensor.detach()) if tensor.layout is torch.strided else tensor


def writable(target: Tensor, source: Tensor) -> tuple[Tensor, Tensor]:
    """The pair, cut to what of the target stands in memory once.

    In an expanded tensor several elements share their memory, and torch refuses to write there.
    """
    if target.layout is torch.strided and target.numel():
        for dim, (size, stride) in enumerate(zip(target.shape, target.stride(), strict=True)):
            if stride == 0 and size > 1:
                target, source = target.narrow(dim, 0, 1), source.narrow(dim, 0, 1)
    return target, source


def identity(tensor: Tensor) -> tuple[object, ...]:
    """The same for two tensors exactly where they are the same memory read the same way."""
    part = elements(tensor)
    if part.layout is not torch.strided or not part.numel():
        return (id(tensor),)
    place = (part.untyped_storage().data_ptr(), part.storage_offset(), str(part.device))
    return (*place, part.shape, part.stride(), part.dtype, part.is_conj(), part.is_neg())


def copy_all(targets: Sequence[Tensor], sources: Sequence[Tensor]) -> None:
    """Every target holds its source's elements; one fused pass over those that allow it.

    Cost: one pass over memory. From a GPU into pinned memory it does not wait.
    """
    fused: list[tuple[Tensor, Tensor]] = []
    for pair in zip(targets, sources, strict=True):
        target, source = writable(*pair)
        if _is_plain(target) and _is_plain(source):
            fused.append((target, source))
        else:
            _copy(target, source)
    if fused:
        with torch.no_grad():
            operations = cast("Any", torch)  # the stubs do not list the fused operations
            operations._foreach_copy_([t for t, _ in fused], [s for _, s in fused], True)


def _is_plain(tensor: Tensor) -> bool:
    if type(tensor) not in (Tensor, torch.nn.Parameter) or tensor.layout is not torch.strided:
        return False
    return not (tensor.is_inference() or tensor.is_conj() or tensor.is_neg())


def _copy(target: Tensor, source: Tensor) -> None:
    # what was made in inference mode may be written to in it only
    with torch.inference_mode(target.is_inference()), torch.no_grad():
        target.copy_(source)
