"""A network is trained from scratch at a rate too low for any tuning.

## What is wrong
The weights would need a hundred thousand steps to become others; the loss stands where it began.

## Remedy
Multiply the rate by ten until the loss falls visibly within some dozens of steps.

## Source
A rate of 1e-7 taken over from the last stage of another recipe.
"""

from __future__ import annotations

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.planting import fault


def plant(parts: Parts) -> None:
    """A ten-thousandth of the healthy rate, or less."""
    parts.rate *= parts.case.pick("factor", (1e-4, 3e-5, 1e-5))


FAULT = fault(
    __name__,
    __doc__,
    cause="lr-too-low",
    on=("gpt", "mlp", "cnn", "tabular", "lstm"),
    plant=plant,
    steps=250,
    is_sudden=False,
)
