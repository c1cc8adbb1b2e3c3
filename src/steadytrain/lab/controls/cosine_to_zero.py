"""A cosine schedule to exactly zero.

## What it looks like
At the end the rate, and with it every update, is nothing.

## Why it is healthy
It is the end of the run.

## Source
Loshchilov and Hutter 2017.
"""

from __future__ import annotations

from torch.optim.lr_scheduler import CosineAnnealingLR

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.planting import control

STEPS = 240


def make(parts: Parts) -> None:
    """The rate reaches zero with the last step."""
    parts.make_scheduler = lambda optimizer: CosineAnnealingLR(optimizer, T_max=STEPS)


CONTROL = control(__name__, __doc__, on=("mlp", "gpt", "cnn", "tabular"), make=make, steps=STEPS)
