"""torch's multi-tensor reductions: many small tensors in one call, without one launch each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import accumulate
from operator import attrgetter
from typing import Any, Final

import torch
from torch import Tensor
from torch._utils import _flatten_dense_tensors

SMALL: Final = 4096
"""Elements up to which gathering a tensor is cheaper than a call of its own."""

MAX_GATHERED: Final = 1 << 20
"""Elements gathered at once: bounds the extra memory."""

_DTYPE = attrgetter("dtype")
_DEVICE = attrgetter("device")


def l2_norms(tensors: Sequence[Tensor], dtype: torch.dtype | None = None) -> list[Tensor]:
    """The L2 norm of every tensor, accumulated in `dtype` where it is given."""
    foreach_norm: Any = getattr(torch, "_foreach_norm")  # noqa: B009 - private, but torch's clip is built on it
    return foreach_norm(list(tensors), 2.0, dtype=dtype)


def is_uniform(tensors: Sequence[Tensor]) -> bool:
    """Whether all tensors share one device and dtype, so that one call takes them all."""
    return len(set(map(_DTYPE, tensors))) == 1 and len(set(map(_DEVICE, tensors))) == 1


def gathered(tensors: Sequence[Tensor]) -> Iterator[tuple[list[int], Tensor, Tensor]]:
    """The small tensors side by side, in blocks: (their places, elements, offsets [n + 1]).

    All must share one device and dtype. Tensors of more than `SMALL` elements are left out.
    """
    places: list[int] = []
    size = 0
    for place, tensor in enumerate(tensors):
        if tensor.numel() > SMALL:
            continue
        if size + tensor.numel() > MAX_GATHERED:
            yield _block(tensors, places)
            places, size = [], 0
        places.append(place)
        size += tensor.numel()
    if places:
        yield _block(tensors, places)


def _block(tensors: Sequence[Tensor], places: list[int]) -> tuple[list[int], Tensor, Tensor]:
    chosen = [tensors[place] for place in places]
    bounds = [0, *accumulate(tensor.numel() for tensor in chosen)]
    elements = _flatten_dense_tensors(chosen)
    return places, elements, sent(bounds, elements.device)


def sent(numbers: Sequence[int], device: torch.device) -> Tensor:
    """The numbers on a device, without waiting for what it is doing."""
    return torch.tensor(numbers).to(device, non_blocking=True)


def without_autocast() -> AbstractContextManager[Any]:
    """Statistics are taken in the precision they have, whatever the user's forward runs in."""
    kinds = [kind for kind in ("cpu", "cuda") if torch.is_autocast_enabled(kind)]
    return torch.autocast(kinds[0], enabled=False) if kinds else nullcontext()
