"""Cosine decay with warm restarts: the rate leaps up every fifty steps.

## What it looks like
The learning rate falls to nearly nothing, returns at once, and the loss rises with it.

## Why it is healthy
Each cycle ends lower than the one before.

## Source
Loshchilov and Hutter 2017 (SGDR).
"""

from __future__ import annotations

from torch.optim.lr_scheduler import CosineAnnealingWarmRestarts

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.planting import control


def make(parts: Parts) -> None:
    """Cycles of fifty steps from the full rate to a hundredth of it."""
    parts.make_scheduler = lambda optimizer: CosineAnnealingWarmRestarts(
        optimizer, T_0=50, eta_min=parts.rate / 100
    )


CONTROL = control(__name__, __doc__, on=("mlp", "cnn", "gpt", "lstm"), make=make, steps=250)
