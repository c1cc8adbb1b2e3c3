"""Batches eight times as large: hardly any noise, and the same few batches again and again.

## What it looks like
Losses follow each other closely, so that a small wiggle is many of their deviations.

## Why it is healthy
The wiggle is small beside what the run gains.

## Source
Goyal et al. 2017, Accurate, large minibatch SGD.
"""

from __future__ import annotations

import torch

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.planting import control

FACTOR = 8


def make(parts: Parts) -> None:
    """Eight batches become one; the rate grows by the square root of two."""
    groups = [parts.batches[place : place + FACTOR] for place in range(0, 40, FACTOR)]
    parts.batches = [
        tuple(torch.cat(column) for column in zip(*some, strict=True)) for some in groups if some
    ]
    parts.rate *= 2**0.5


CONTROL = control(__name__, __doc__, on=("mlp", "tabular", "vae"), make=make)
