"""The first half of an epoch shows some classes only, the second half the others.

## What is wrong
Two sources were concatenated, and each is shuffled in itself. At every change of source the
network has forgotten what the other asks.

## Remedy
Draw every batch from both sources.

## Source
`ConcatDataset` without a shuffle over the whole.
"""

from __future__ import annotations

import torch

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.planting import fault


def plant(parts: Parts) -> None:
    """Samples above the median target come after those below; each half keeps its order."""
    inputs, targets = (torch.cat(column) for column in zip(*parts.batches, strict=True))
    values = targets.flatten().float()
    later = (values > values.median()).long()
    order = later.argsort(stable=True)
    size = len(parts.batches[0][0])
    parts.batches = [(inputs[some], targets[some]) for some in order.split(size)]


FAULT = fault(
    __name__,
    __doc__,
    cause="data-not-shuffled",
    on=("mlp", "cnn", "vit", "tabular"),
    plant=plant,
    steps=240,
    is_sudden=False,
)
