"""A schedule made for epochs is stepped once per batch.

## What is wrong
The rate is multiplied by its factor at every step and is next to nothing before the first pass
over the data is over.

## Remedy
Step the schedule once per epoch, or give it its length in steps.

## Source
The most frequent mistake with torch.optim.lr_scheduler on its forum.
"""

from __future__ import annotations

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.optimizing import schedule
from steadytrain.lab.zoo.planting import fault


def prepare(parts: Parts) -> None:
    """The rate is multiplied once per epoch."""
    kept, epoch = _kept(parts), len(parts.batches)
    schedule(parts, lambda step: kept ** (step // epoch))


def plant(parts: Parts) -> None:
    """The rate is multiplied once per batch."""
    kept = _kept(parts)
    schedule(parts, lambda step: kept**step)


def _kept(parts: Parts) -> float:
    return parts.case.pick("kept", (0.6, 0.7, 0.8))


FAULT = fault(
    __name__,
    __doc__,
    cause="lr-schedule-wrong",
    on=("cnn", "gpt", "mlp", "vae"),
    plant=plant,
    prepare=prepare,
    is_sudden=False,
)
