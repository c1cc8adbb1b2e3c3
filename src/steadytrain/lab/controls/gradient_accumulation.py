"""Four microbatches a step: gradients are not cleared between backward passes.

## What it looks like
When a backward pass begins, the gradients of the one before are still there.

## Why it is healthy
They belong to the same step; the loss of each is divided by four.

## Source
Every recipe that trains with larger batches than fit into memory.
"""

from __future__ import annotations

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.own_loops import pieces
from steadytrain.lab.zoo.planting import control


def make(parts: Parts) -> None:
    """A step sees four quarters of a batch."""
    parts.batches = [part for batch in parts.batches for part in pieces(batch, 4)]
    parts.accumulate = 4


CONTROL = control(__name__, __doc__, on=("mlp", "gpt", "tabular"), make=make)
