"""One verdict for all ranks: a step that one of them must not take is taken by none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import distributed


def over_ranks(numbers: Sequence[int], device: torch.device) -> list[int]:
    """The largest of each number over all ranks; the numbers themselves in one process.

    Whole numbers, because every rank then sees exactly the same. Cost: one small reduction per
    step where there are several ranks; it is called at the same place of every step on each.
    """
    torch_distributed = cast("Any", distributed)
    if not (torch_distributed.is_available() and torch_distributed.is_initialized()):
        return list(numbers)
    if torch_distributed.get_world_size() == 1:
        return list(numbers)
    packed = torch.tensor(list(numbers), dtype=torch.int64, device=device)
    torch_distributed.all_reduce(packed, op=torch_distributed.ReduceOp.MAX)
    return [int(number) for number in packed.tolist()]
