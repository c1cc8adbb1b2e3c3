"""The target of a regression is an amount in cents, far from zero and far from unit scale.

## What is wrong
Predictions begin near zero, the target is some tens of thousands: the loss is of the order of
1e9, every gradient is clipped, and the network needs the whole run to find the mean.

## Remedy
Standardise the target by the training set, and undo it in the prediction.

## Source
Questions about regressions whose loss is in the millions and does not fall.
"""

from __future__ import annotations

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.outputs import predict_the_number
from steadytrain.lab.zoo.planting import fault
from steadytrain.lab.zoo.regressions import Batch


def prepare(parts: Parts) -> None:
    """An image classifier predicts its label as a number."""
    if parts.case.architecture != "tabular":
        predict_the_number(parts)


def plant(parts: Parts) -> None:
    """Every target is multiplied and shifted."""
    scale = parts.case.pick("currency", (3e3, 1e4, 3e4))

    def in_cents(batch: Batch) -> Batch:
        return batch[0], scale * (batch[1] + 3.0)

    parts.batches = [in_cents(batch) for batch in parts.batches]
    parts.validation = in_cents(parts.validation)


FAULT = fault(
    __name__,
    __doc__,
    cause="target-not-normalized",
    on=("tabular", "mlp", "cnn"),
    plant=plant,
    prepare=prepare,
)
