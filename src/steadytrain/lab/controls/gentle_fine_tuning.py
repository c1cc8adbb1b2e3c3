"""A trained network goes on at a thirtieth of the rate.

## What it looks like
The loss hardly falls below its first value, and updates are small from the start.

## Why it is healthy
It was low to begin with, and little is left to be gained.

## Source
Every continued training from a checkpoint.
"""

from __future__ import annotations

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.planting import control
from steadytrain.lab.zoo.pretraining import pretrain


def make(parts: Parts) -> None:
    """A hundred steps were made before."""
    pretrain(parts, steps=100)
    parts.rate /= 30


CONTROL = control(__name__, __doc__, on=("mlp", "tabular", "gpt", "cnn"), make=make, steps=240)
