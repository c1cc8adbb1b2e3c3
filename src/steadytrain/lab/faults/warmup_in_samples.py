"""The warmup is as long as the whole training, and longer.

## What is wrong
Its length is given in samples and counted in steps: after hundreds of steps the rate is still a
small part of what was meant.

## Remedy
Divide the length by the batch size.

## Source
Configurations with `warmup_samples` and `warmup_steps` beside each other (Megatron-LM).
"""

from __future__ import annotations

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.optimizing import schedule
from steadytrain.lab.zoo.planting import fault


def prepare(parts: Parts) -> None:
    """A ramp of some dozens of steps."""
    length = _length(parts)
    schedule(parts, lambda step: min(1.0, (step + 1) / length))


def plant(parts: Parts) -> None:
    """The ramp multiplied by the tokens, or samples, of an epoch."""
    length = _length(parts) * parts.case.pick("factor", (2048, 4096))
    schedule(parts, lambda step: min(1.0, (step + 1) / length))


def _length(parts: Parts) -> int:
    return parts.case.pick("length", (20, 40))


FAULT = fault(
    __name__,
    __doc__,
    cause="lr-schedule-wrong",
    also=("lr-too-low",),
    on=("gpt", "mlp", "cnn"),
    plant=plant,
    prepare=prepare,
    steps=250,
    is_sudden=False,
)
