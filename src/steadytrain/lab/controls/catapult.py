"""Gradient descent at a rate above the stable one: the loss leaps, then settles in a flatter place.

## What it looks like
In its first steps the loss climbs over its start, as at the beginning of a divergence.

## Why it is healthy
Above 2 over the curvature, and below about 12 over it for ReLU, the climb shrinks the curvature
until the rate is stable; the loss then falls below what a small rate reaches.

## Source
Lewkowycz et al. 2020, The large learning rate phase of deep learning: the catapult mechanism,
figure 1 and section 2.
"""

from __future__ import annotations

import torch

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.curvature import sharpness
from steadytrain.lab.zoo.planting import control


def make(parts: Parts) -> None:
    """Plain gradient descent on all rows at once, at 4 over the first curvature."""
    whole = tuple(torch.cat(column) for column in zip(*parts.batches, strict=True))
    parts.batches, parts.clip = [whole], None
    rate = 4.0 / sharpness(parts, whole)
    parts.make_optimizer = lambda own: torch.optim.SGD(own.model.parameters(), lr=rate)


CONTROL = control(__name__, __doc__, on=("tabular",), make=make, steps=300)
