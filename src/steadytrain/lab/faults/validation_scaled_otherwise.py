"""The validation images are scaled by other statistics than the training images.

## What is wrong
Training images are standardised, validation images divided by their largest value: the network is
judged on inputs it has never seen the like of.

## Remedy
One preprocessing for both, with the statistics of the training set.

## Source
Two transforms in two places of a program, of which one was changed.
"""

from __future__ import annotations

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.planting import fault


def plant(parts: Parts) -> None:
    """Between 0 and 0.1 instead of around 0."""
    inputs, *others = parts.validation
    low, high = inputs.min(), inputs.max()
    parts.validation = (0.1 * (inputs - low) / (high - low), *others)


FAULT = fault(
    __name__,
    __doc__,
    cause="split-statistics",
    on=("mlp", "cnn", "vit", "tabular"),
    plant=plant,
    seen=("preflight",),
)
