"""Features are logarithms of counts, and some counts are zero.

## What is wrong
The logarithm of a count of zero is minus infinity, which reaches the model as a feature.

## Remedy
log(1 + count).

## Source
The usual transformation of counts and amounts, and its usual mistake.
"""

from __future__ import annotations

from torch import Tensor

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.planting import fault


def _counts(values: Tensor) -> Tensor:
    """Whole numbers from zero on that follow the values."""
    return (2.0 * (values + 2.0)).round().clamp(min=0.0)


def prepare(parts: Parts) -> None:
    """The features are counts on a logarithmic scale."""
    parts.batches = [((1.0 + _counts(x)).log() - 1.5, *rest) for x, *rest in parts.batches]
    inputs, *others = parts.validation
    parts.validation = ((1.0 + _counts(inputs)).log() - 1.5, *others)


def plant(parts: Parts) -> None:
    """The same without the one."""
    parts.batches = [(((x + 1.5).exp() - 1.0).round().log() - 1.5, *r) for x, *r in parts.batches]


FAULT = fault(
    __name__,
    __doc__,
    cause="nonfinite-input",
    on=("tabular",),
    plant=plant,
    prepare=prepare,
    steps=60,
)
