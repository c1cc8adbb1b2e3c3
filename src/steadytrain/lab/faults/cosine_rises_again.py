"""A cosine schedule is too short for the run and climbs back.

## What is wrong
Its length was given in epochs while it is stepped per batch: it reaches zero early, and the
formula goes on to raise the rate again, over and over, to the peak on which the run ends.

## Remedy
Give the schedule the number of steps of the whole run.

## Source
torch's CosineAnnealingLR beyond T_max, as its documentation's formula has it.
"""

from __future__ import annotations

import math

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.optimizing import schedule
from steadytrain.lab.zoo.planting import fault

_STEPS = 200


def prepare(parts: Parts) -> None:
    """A brisk rate that falls to zero at the run's last step."""
    parts.rate *= 3
    schedule(parts, lambda step: _cosine(step, _STEPS))


def plant(parts: Parts) -> None:
    """The schedule is over many times before the run is."""
    length = parts.case.pick("length", (5, 10, 25, 50))
    schedule(parts, lambda step: _cosine(step, length))


def _cosine(step: int, length: int) -> float:
    return 0.5 * (1.0 + math.cos(math.pi * step / length))


FAULT = fault(
    __name__,
    __doc__,
    cause="lr-schedule-wrong",
    on=("cnn", "gpt", "tabular", "resnet"),
    plant=plant,
    prepare=prepare,
    steps=_STEPS,
    is_sudden=False,
)
