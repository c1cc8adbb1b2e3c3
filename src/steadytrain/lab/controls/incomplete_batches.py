"""Batches of very different size, the last of every pass a small one.

## What it looks like
Now and then a loss and a gradient norm stand far from their neighbours, on either side.

## Why it is healthy
A mean over six samples spreads more than one over sixty-four.

## Source
The default of a DataLoader, `drop_last=False`.
"""

from __future__ import annotations

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.planting import control

PERIOD = 10
SMALL = 6


def make(parts: Parts) -> None:
    """Every tenth batch has six samples."""
    parts.batches = [
        tuple(part[:SMALL] for part in batch) if place % PERIOD == PERIOD - 1 else batch
        for place, batch in enumerate(parts.batches)
    ]


CONTROL = control(__name__, __doc__, on=("mlp", "cnn", "tabular", "resnet"), make=make)
