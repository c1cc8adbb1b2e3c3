"""A sensor failed for one sample, and its batch holds NaN.

## What is wrong
Some values of one sample of one batch are NaN, or infinite. The loss of that batch is NaN, and so
is every weight after its step.

## Remedy
Check what is loaded; leave such samples out, or fill their gaps with a value of the training set.

## Source
The first question asked of every NaN loss: is the data finite?
"""

from __future__ import annotations

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.planting import fault

_ONSET = 30


def plant(parts: Parts) -> None:
    """A few elements of one sample of the thirty-first batch are not finite."""
    inputs, *others = parts.batches[_ONSET]
    broken = inputs.clone()
    broken[3].view(-1)[:4] = parts.case.pick("gap", (float("nan"), float("inf")))
    parts.batches[_ONSET] = (broken, *others)


FAULT = fault(
    __name__,
    __doc__,
    cause="nonfinite-input",
    also=("bad-batch",),
    on=("mlp", "tabular", "cnn", "vit"),
    plant=plant,
    onset=_ONSET,
    steps=60,
)
