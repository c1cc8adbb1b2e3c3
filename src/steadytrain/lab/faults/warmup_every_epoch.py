"""The warmup begins anew at every pass over the data.

## What is wrong
The schedule is built inside the epoch's loop, so that the rate falls back to nothing at the start
of each epoch and climbs the same ramp again.

## Remedy
Build the schedule once, before the first epoch.

## Source
A saw-tooth learning rate in people's logs.
"""

from __future__ import annotations

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.optimizing import schedule
from steadytrain.lab.zoo.planting import fault


def prepare(parts: Parts) -> None:
    """One ramp over the first epoch, then a constant rate."""
    epoch = len(parts.batches)
    schedule(parts, lambda step: min(1.0, ((step + 1) / epoch) ** 2))


def plant(parts: Parts) -> None:
    """The same ramp in every epoch."""
    epoch = len(parts.batches)
    schedule(parts, lambda step: ((step % epoch + 1) / epoch) ** 2)


FAULT = fault(
    __name__,
    __doc__,
    cause="lr-schedule-wrong",
    on=("gpt", "cnn", "lstm", "mlp"),
    plant=plant,
    prepare=prepare,
    onset=40,
    is_sudden=False,
)
