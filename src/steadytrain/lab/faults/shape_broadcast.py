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
from steadytrain.lab.zoo.policies import ENTROPY_WEIGHT
from steadytrain.lab.zoo.policy_terms import entropy_of, standard, walked


def prepare(parts: Parts) -> None:
    """An image network predicts its digit as a number; the others are regressions already."""
    if parts.case.architecture == "mlp":
        predict_the_number(parts)


def table_of_errors(model: Any, batch: tuple[Tensor, Tensor]) -> Tensor:
    """The error by hand, on targets that lost a dimension."""
    inputs, targets = batch
    return (model(inputs) - targets.squeeze(1)).square().mean()


def table_of_values(model: Any, batch: int) -> Tensor:
    """The critic's error by hand, on values that kept a dimension."""
    seen = walked(model, batch)
    critic = (seen.values.unsqueeze(1) - seen.gains).square().mean()
    policy = -(standard(seen.advantages) * seen.chosen).mean()
    return policy + 0.5 * critic - ENTROPY_WEIGHT * entropy_of(seen.logits)


def plant(parts: Parts) -> None:
    """One of the two sides lacks a dimension."""
    is_policy = parts.case.architecture == "actor-critic"
    parts.loss_fn = table_of_values if is_policy else table_of_errors


FAULT = fault(
    __name__,
    __doc__,
    cause="shape-broadcast",
    on=("tabular", "mlp", "actor-critic"),
    prepare=prepare,
    plant=plant,
)
