"""The columns of a table are in their own units, which differ by a factor of a million.

## What is wrong
One feature is a price, another a share: the large ones rule the first layer's output and its
gradient, and nothing can be learned from the small ones.

## Remedy
Standardise every column by the training set.

## Source
The classical advice on feature scaling; the data checks of TheDeepChecker.
"""

from __future__ import annotations

import torch
from torch import Tensor

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.planting import fault
from steadytrain.lab.zoo.regressions import NUM_FEATURES


def plant(parts: Parts) -> None:
    """Every column is multiplied and shifted; the order is drawn."""
    generator = parts.case.generator("units")
    places = torch.randperm(NUM_FEATURES, generator=generator)
    units = torch.logspace(-2.0, 4.0, NUM_FEATURES)[places]

    def measured(features: Tensor) -> Tensor:
        return units * (features + 2.0)

    parts.batches = [(measured(x), y) for x, y in parts.batches]
    features, target = parts.validation
    parts.validation = (measured(features), target)


FAULT = fault(
    __name__, __doc__, cause="data-not-normalized", on=("tabular",), plant=plant, steps=150
)
