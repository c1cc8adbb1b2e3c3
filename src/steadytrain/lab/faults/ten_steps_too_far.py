"""The rate is hundreds of times too large for the first ten steps, and right from then on.

## What is wrong
The first steps throw the biases and weights so far that units give zero on every input; units
without a slope do not come back when the rate is right.

## Remedy
Warm the rate up, or use an activation with a slope below zero.

## Source
Lu et al. 2019, "Dying ReLU and initialization"; AUTOTRAINER's label of the same name.
"""

from __future__ import annotations

from torch import nn, optim

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.planting import fault
from steadytrain.lab.zoo.stacks import linears, paths_of


def plant(parts: Parts) -> None:
    """A schedule that begins with a typing error."""
    factor = parts.case.pick("factor", (300.0, 1000.0))
    parts.make_scheduler = lambda optimizer: optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: factor if step < 10 else 1.0
    )


def sites(parts: Parts) -> tuple[str, ...]:
    """The activations, and the layers beside them."""
    return (*paths_of(parts.model, nn.ReLU), *(path for path, _ in linears(parts.model)))


FAULT = fault(
    __name__,
    __doc__,
    cause="dying-relu",
    also=("lr-too-high", "lr-schedule-wrong", "missing-warmup"),
    on=("mlp", "tabular"),
    plant=plant,
    sites=sites,
)
