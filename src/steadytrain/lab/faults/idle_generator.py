"""The generator of a GAN learns a thousand times slower than the discriminator.

## What is wrong
The discriminator tells every point apart before the generator has moved: the generator's loss
only rises, and its points stay where they began.

## Remedy
Rates of the same order; fewer steps of the discriminator, or a penalty on its gradient.

## Source
Goodfellow 2016, section 4.3; Heusel et al. 2017 on two rates.
"""

from __future__ import annotations

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.planting import fault


def plant(parts: Parts) -> None:
    """The generator's rate, a typing error away, and three times the discriminator's."""
    parts.rate = parts.case.pick("generator's rate", (1e-6, 3e-6))
    for group in parts.extra["discriminator"].param_groups:
        group["lr"] *= 3.0


FAULT = fault(
    __name__,
    __doc__,
    cause="gan-discriminator-dominates",
    also=("lr-too-low",),
    on=("gan",),
    plant=plant,
    sites=lambda _: ("generator",),
    steps=300,
    is_sudden=False,
)
