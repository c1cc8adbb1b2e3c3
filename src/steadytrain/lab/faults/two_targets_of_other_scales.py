"""Two quantities are predicted, one of which is a million times larger than the other.

## What is wrong
The loss is that of the large one. The small one has a gradient a million times too small, and is
not learned at all.

## Remedy
Standardise each target by the training set.

## Source
Multi-output regressions with a physical unit each.
"""

from __future__ import annotations

import torch
from torch import Tensor

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.outputs import replace_last
from steadytrain.lab.zoo.planting import fault
from steadytrain.lab.zoo.regressions import Batch

_SCALES = (1e-3, 1e3)


def _both(features: Tensor, target: Tensor) -> Tensor:
    """The target, and a smooth function of two features."""
    other = (features[:, 1] - features[:, 2]).tanh().unsqueeze(1)
    return torch.cat([target, (other - other.mean()) / other.std()], dim=1)


def prepare(parts: Parts) -> None:
    """A second target on the same table."""
    replace_last(parts, 2)
    parts.batches = [(x, _both(x, y)) for x, y in parts.batches]
    parts.validation = (parts.validation[0], _both(*parts.validation))


def plant(parts: Parts) -> None:
    """Each has its own unit."""
    scales = torch.tensor(_SCALES)

    def scaled(batch: Batch) -> Batch:
        return batch[0], scales * batch[1]

    parts.batches = [scaled(batch) for batch in parts.batches]
    parts.validation = scaled(parts.validation)


FAULT = fault(
    __name__,
    __doc__,
    cause="target-not-normalized",
    on=("tabular",),
    plant=plant,
    prepare=prepare,
)
