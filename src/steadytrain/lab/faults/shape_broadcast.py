"""Predictions [n, 1] meet targets [n] and are compared with all of them.

## What is wrong
The difference is silently a table of n by n: every prediction is drawn to the mean of the batch.

## Remedy
Give both the same shape, and let the loss refuse others.

## Source
The question of why a regression predicts the mean only, asked over and over.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.outputs import predict_the_number
from steadytrain.lab.zoo.planting import fault


def prepare(parts: Parts) -> None:
    """An image network predicts its digit as a number; the others are regressions already."""
    if parts.case.architecture == "mlp":
        predict_the_number(parts)


def table_of_errors(model: Any, batch: tuple[Tensor, Tensor]) -> Tensor:
    """The error by hand, on targets that lost a dimension."""
    inputs, targets = batch
    return (model(inputs) - targets.squeeze(1)).square().mean()


def plant(parts: Parts) -> None:
    """One of the two sides lacks a dimension."""
    parts.loss_fn = table_of_errors


FAULT = fault(
    __name__,
    __doc__,
    cause="shape-broadcast",
    on=("tabular", "mlp"),
    prepare=prepare,
    plant=plant,
)
