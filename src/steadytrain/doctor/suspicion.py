"""Which recorded microbatches are unlike the others."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import torch

from steadytrain.doctor.observing import Observation
from steadytrain.doctor.tape import tensors_in

FAR: Final = 12.0
"""Deviations (of the logarithm, by the median absolute one) beyond which a batch is not one of them."""

FEW: Final = 0.2
"""Share of the microbatches beyond which they are no exceptions."""


def suspects_in(batches: Sequence[Any], base: Observation) -> frozenset[int]:
    """Places of microbatches with something non-finite in them, and of those far from the others.

    Far is an extreme size, or a jump of the observed run's loss when it was read.
    """
    sizes = [_size(batch) for batch in batches]
    broken = {at for at, size in enumerate(sizes) if not math.isfinite(size)}
    apart = max(1, len(batches) // max(1, base.asked))
    jumps = {at * apart + k for at in _far(_jumps(base.losses)) for k in range(apart)}
    near = {at for at in jumps if at < len(batches)}
    found = broken | _far(sizes) | near
    return frozenset(found if len(found) <= FEW * len(batches) else broken)


def _size(batch: Any) -> float:
    """The root mean square of the batch's floating tensors; NaN or infinite where they are."""
    parts = [t.detach() for t in tensors_in(batch) if t.is_floating_point() and t.numel()]
    if not parts:
        return 0.0
    squares = torch.stack([part.double().square().mean().cpu() for part in parts])
    return float(squares.mean().sqrt())


def _jumps(losses: Sequence[float]) -> list[float]:
    """Each loss over the one before it, where both are above zero."""
    pairs = itertools.pairwise(losses)
    return [1.0, *(b / a if a > 0 and b > 0 else 1.0 for a, b in pairs)]


def _far(values: Sequence[float]) -> set[int]:
    logs = np.asarray([math.log(v) if v > 0 and math.isfinite(v) else math.nan for v in values])
    known = logs[np.isfinite(logs)]
    if len(known) < 8:
        return set()
    middle = float(np.median(known))
    spread = max(1.4826 * float(np.median(np.abs(known - middle))), 0.02)
    return {int(at) for at in np.nonzero(logs - middle > FAR * spread)[0]}
