"""One batch is read in another unit, hundreds of times too large.

## What is wrong
A single batch among good ones holds values hundreds of times larger than the others: a file in
another unit, a decoder that failed. One step along its gradient moves the weights far.

## Remedy
Check the range of what is loaded; drop the batch, and clip the gradient norm.

## Source
Reports of a single spike at the same place of every epoch; TheDeepChecker's corrupted inputs.
"""

from __future__ import annotations

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.optimizing import use_sgd
from steadytrain.lab.zoo.planting import fault

_ONSET = 80


def prepare(parts: Parts) -> None:
    """SGD without a clip at a third of its rate, and an epoch as long as the run."""
    use_sgd(parts)
    parts.optimizer_options["momentum"] = 0.0
    parts.clip = None
    parts.batches = [batch for _ in range(5) for batch in parts.batches][:200]


def plant(parts: Parts) -> None:
    """The eighty-first batch is in another unit."""
    inputs, *others = parts.batches[_ONSET]
    factor = parts.case.pick("unit", (100.0, 300.0))
    parts.batches[_ONSET] = (factor * inputs, *others)


FAULT = fault(
    __name__,
    __doc__,
    cause="bad-batch",
    on=("mlp", "tabular", "vit"),
    plant=plant,
    prepare=prepare,
    onset=_ONSET,
)
