"""Full-batch gradient descent whose curvature has grown to 2 over the rate.

## What it looks like
The loss goes up and down from step to step.

## Why it is healthy
Over some dozens of steps it falls: the curvature hovers at the edge and does not pass it.

## Source
Cohen et al. 2021, Gradient descent on neural networks typically occurs at the edge of stability.
"""

from __future__ import annotations

import torch

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.curvature import sharpness
from steadytrain.lab.zoo.planting import control

NUM_BATCHES = 8
"""Batches that are put together; more make no other curvature and cost time."""


def make(parts: Parts) -> None:
    """Plain gradient descent on one large batch at 1.9 over its curvature."""
    columns = zip(*parts.batches[:NUM_BATCHES], strict=True)
    whole = tuple(torch.cat(column) for column in columns)
    parts.batches, parts.clip = [whole], None
    rate = 1.9 / sharpness(parts, whole)
    parts.make_optimizer = lambda own: torch.optim.SGD(own.model.parameters(), lr=rate)


CONTROL = control(__name__, __doc__, on=("tabular",), make=make, steps=300)
