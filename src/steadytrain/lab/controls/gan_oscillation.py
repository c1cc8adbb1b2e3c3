"""A GAN at a lively rate: neither loss falls, both swing.

## What it looks like
The generator's loss rises for dozens of steps, falls, rises again.

## Why it is healthy
The game has no loss to go down; the points move to the ring all the while.

## Source
Goodfellow 2016, NIPS tutorial on GANs, section 5.
"""

from __future__ import annotations

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.planting import control


def make(parts: Parts) -> None:
    """Generator and discriminator learn twice as fast."""
    parts.rate *= 2
    for group in parts.extra["discriminator"].param_groups:
        group["lr"] *= 2


CONTROL = control(__name__, __doc__, on=("gan",), make=make, steps=500)
