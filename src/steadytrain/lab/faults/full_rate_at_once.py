"""A high rate is applied from the first step, without the ramp it needs.

## What is wrong
The rate suits the network once its weights have moved to where the loss is flat; at the start it
throws them into a place from which training hardly recovers.

## Remedy
Raise the rate from zero over the first tens or hundreds of steps.

## Source
Goyal et al. 2017 (large batches), Liu et al. 2020 and Gilmer et al. 2022 (why it helps).
"""

from __future__ import annotations

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.optimizing import schedule
from steadytrain.lab.zoo.planting import fault


def prepare(parts: Parts) -> None:
    """A high rate, reached over half the run."""
    parts.rate = parts.case.pick("high rate", (0.015, 0.02))
    schedule(parts, lambda step: min(1.0, (step + 1) / 100))


def plant(parts: Parts) -> None:
    """No ramp."""
    parts.make_scheduler = None


FAULT = fault(
    __name__,
    __doc__,
    cause="missing-warmup",
    also=("lr-too-high",),
    on=("vit",),
    plant=plant,
    prepare=prepare,
)
