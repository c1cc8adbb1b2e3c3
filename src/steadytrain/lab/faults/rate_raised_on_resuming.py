"""The run is taken up again with another rate than it was left with.

## What is wrong
After a hundred steps the rate is a hundred times higher: the command line of the second half
names one of another recipe.

## Remedy
Take the rate from the checkpoint.

## Source
Reports of loss jumps at the first steps after a resumption.
"""

from __future__ import annotations

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.optimizing import schedule
from steadytrain.lab.zoo.planting import fault

_ONSET = 100


def plant(parts: Parts) -> None:
    """The rate jumps up and stays there."""
    factor = parts.case.pick("factor", (50, 100, 200))
    schedule(parts, lambda step: factor if step >= _ONSET else 1.0)


FAULT = fault(
    __name__,
    __doc__,
    cause="lr-too-high",
    also=("lr-schedule-wrong",),
    on=("mlp", "gpt", "cnn", "lstm"),
    plant=plant,
    onset=_ONSET,
)
