"""One number for all ranks, where there are any."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, distributed


def over_ranks(
    values: Tensor, how: Literal["sum", "max"], group: distributed.ProcessGroup | None
) -> Tensor:
    """`values` summed or maximised over the ranks of `group` (None: all), or as they are alone."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return values
    reduced = values.detach().clone(memory_format=torch.contiguous_format)
    op = distributed.ReduceOp.SUM if how == "sum" else distributed.ReduceOp.MAX
    distributed.all_reduce(reduced, op=op, group=group)
    return reduced
