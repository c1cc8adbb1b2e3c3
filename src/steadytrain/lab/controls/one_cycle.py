"""One cycle: the rate climbs for a third of the run to a peak, then falls to nothing.

## What it looks like
The rate multiplies by 25 and ends at a thousandth; momentum goes the other way.

## Why it is healthy
The loss falls in all of it.

## Source
Smith and Topin 2018, Super-convergence.
"""

from __future__ import annotations

from torch.optim.lr_scheduler import OneCycleLR

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.planting import control

STEPS = 200


def make(parts: Parts) -> None:
    """A peak of twice the usual rate."""
    parts.make_scheduler = lambda optimizer: OneCycleLR(
        optimizer, max_lr=2 * parts.rate, total_steps=STEPS + 1
    )


CONTROL = control(__name__, __doc__, on=("mlp", "resnet", "gpt", "tabular"), make=make, steps=STEPS)
