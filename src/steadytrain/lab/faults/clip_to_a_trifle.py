"""The gradient is clipped to a tiny norm, and SGD moves by that much and no more.

## What is wrong
The threshold is thousands of times below every gradient: it rules the length of each step, and
the learning rate times the threshold is next to nothing.

## Remedy
Set the threshold near the median gradient norm.

## Source
Pascanu, Mikolov, Bengio 2013 choose it from the average norm.
"""

from __future__ import annotations

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.optimizing import use_sgd
from steadytrain.lab.zoo.planting import fault


def plant(parts: Parts) -> None:
    """A threshold from another unit."""
    parts.clip = parts.case.pick("clip", (1e-3, 1e-4, 1e-5))


FAULT = fault(
    __name__,
    __doc__,
    cause="clip-too-tight",
    on=("mlp", "lstm", "cnn", "gpt"),
    plant=plant,
    prepare=use_sgd,
    is_sudden=False,
)
