"""How many items a microbatch has, on the host where it is known there."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from steadytrain.core.errors import UsageError

Count = int | Tensor
"""A number on the host, or a tensor on a device, which is not read back."""


def num_rows(batch: Any) -> int:
    """The first dimension of the first tensor in a batch.

    Raises:
        UsageError: there is no tensor with dimensions in it.
    """
    parts: list[Any] = [batch]
    while parts:
        part = parts.pop(0)
        if isinstance(part, Tensor) and part.ndim:
            return part.shape[0]
        inside = part.values() if isinstance(part, Mapping) else part
        parts = [*inside, *parts] if isinstance(part, Mapping | list | tuple) else parts
    msg = f"accumulate cannot count the items of a {type(batch).__name__} without a tensor in it"
    raise UsageError(f"{msg}: give count=, a function of the microbatch.")


def checked(count: object) -> Count:
    """`count` as a number where it is on the host, as a tensor where it is on a device.

    Raises:
        UsageError: it is no number of items.
    """
    if isinstance(count, Tensor) and count.numel() == 1 and not count.is_complex():
        if count.device.type != "cpu":
            return count.reshape(())
        count = count.item()
    whole = isinstance(count, int | float) and 0 <= count < math.inf and count == int(count)
    if not whole:
        msg = f"accumulate(count) returned {count!r}, expected a number of items from 0 on"
        raise UsageError(f"{msg}: sum the mask over the whole microbatch.")
    return int(count)  # pyright: ignore[reportArgumentType]


def is_zero(count: Count) -> bool:
    """Whether a count that is known on the host is zero."""
    return isinstance(count, int) and count == 0
