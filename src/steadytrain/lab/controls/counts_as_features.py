"""Features that are counts, standardised inside the network: whole numbers that mean amounts.

## What it looks like
Whole numbers up to some hundreds go into a linear model, as token ids would by mistake.

## Why it is healthy
Twice the count is twice the amount; a batch norm at the entrance takes their scale away.

## Source
Ioffe and Szegedy 2015, Batch normalization; any table of counts.
"""

from __future__ import annotations

import torch
from torch import nn

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.planting import control
from steadytrain.lab.zoo.regressions import NUM_FEATURES, Batch


def _counted(batch: Batch) -> Batch:
    """The same rows, each feature as a count of tens."""
    features, target = batch
    return (40 + 10 * features).round().clamp(min=0), target


def make(parts: Parts) -> None:
    """Counts through a batch norm into the same network."""
    parts.model = nn.Sequential(nn.BatchNorm1d(NUM_FEATURES), parts.model)
    parts.batches = [_counted(batch) for batch in parts.batches]
    with torch.no_grad():
        parts.validation = _counted(parts.validation)


CONTROL = control(__name__, __doc__, on=("tabular",), make=make, steps=300)
