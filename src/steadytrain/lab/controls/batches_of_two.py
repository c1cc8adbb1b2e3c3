"""Two samples a batch: the loss jumps about and falls on the mean.

## What it looks like
Single losses stand at many times their neighbours, in both directions.

## Why it is healthy
The mean over some dozens of steps falls steadily; the spread is that of two samples.

## Source
The issue's list of controls that fool others.
"""

from __future__ import annotations

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.planting import control


def make(parts: Parts) -> None:
    """Every batch is cut into pairs, of which the first two hundred are used."""
    pairs = [
        tuple(part[place : place + 2] for part in batch)
        for batch in parts.batches
        for place in range(0, len(batch[0]) - 1, 2)
    ]
    parts.batches = pairs[:400]
    parts.rate /= 4


CONTROL = control(__name__, __doc__, on=("mlp", "vit", "tabular"), make=make, steps=400)
