"""Whether CTC targets fit into their inputs."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def ctc_lacks(
    log_probs: Tensor, targets: Tensor, input_lengths: Any, target_lengths: Any, *_: Any, **__: Any
) -> list[int]:
    """Steps that each target of `ctc_loss` needs beyond what its input has; negative where it fits."""
    lacks: list[int] = []
    start = 0
    lengths = zip(_numbers(input_lengths), _numbers(target_lengths), strict=True)
    for row, (available, length) in enumerate(lengths):
        own = targets[start : start + length] if targets.dim() == 1 else targets[row, :length]
        start += length
        repeats = int((own[1:] == own[:-1]).sum())
        lacks.append(length + repeats - min(available, len(log_probs)))
    return lacks


def _numbers(value: Any) -> list[int]:
    values = value if isinstance(value, Tensor) else torch.as_tensor(value)
    return [int(one) for one in values.flatten()]
