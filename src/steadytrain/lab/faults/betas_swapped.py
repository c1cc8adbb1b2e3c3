"""Adam's two betas stand in the wrong order.

## What is wrong
The momentum averages a thousand steps and the second moment ten: the direction is that of long
ago, its length that of now, and the weights overshoot again and again.

## Remedy
(0.9, 0.999): the momentum first.

## Source
Kingma, Ba 2015: convergence asks beta1 to be below the root of beta2.
"""

from __future__ import annotations

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.planting import fault


def plant(parts: Parts) -> None:
    """The long memory first."""
    parts.optimizer_options["betas"] = (parts.case.pick("beta1", (0.995, 0.999)), 0.9)


FAULT = fault(
    __name__,
    __doc__,
    cause="momentum-too-high",
    on=("mlp", "gpt", "tabular", "cnn"),
    plant=plant,
    is_sudden=False,
)
