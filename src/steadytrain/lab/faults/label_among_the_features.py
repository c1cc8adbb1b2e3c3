"""A column of the table is the target itself.

## What is wrong
A column computed from the target was left among the features. The loss falls to nothing in
training and in validation, and the model is of no use where that column is missing.

## Remedy
Remove what is known only after the target is.

## Source
Kaufman et al. 2012 (Leakage in data mining).
"""

from __future__ import annotations

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.planting import fault
from steadytrain.lab.zoo.regressions import NUM_FEATURES, Batch


def plant(parts: Parts) -> None:
    """One drawn column is the target times a factor."""
    column = parts.case.pick("column", range(NUM_FEATURES))

    def leaking(batch: Batch) -> Batch:
        features = batch[0].clone()
        features[:, column] = 0.9 * batch[1].flatten()
        return features, batch[1]

    parts.batches = [leaking(batch) for batch in parts.batches]
    parts.validation = leaking(parts.validation)


FAULT = fault(
    __name__,
    __doc__,
    cause="target-leak",
    on=("tabular",),
    plant=plant,
    seen=("preflight",),
)
