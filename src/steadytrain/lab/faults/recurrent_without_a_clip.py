"""A recurrent language model at the classic high rate, without the clip that belongs to it.

## What is wrong
The rate of 20 is meant for gradients whose norm is cut at a quarter; the first one that is not
throws the weights away.

## Remedy
Clip the gradient norm at 0.25.

## Source
Zaremba, Sutskever, Vinyals 2014, and the word language model among PyTorch's examples.
"""

from __future__ import annotations

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.optimizing import SGD_RATIO, use_sgd
from steadytrain.lab.zoo.planting import fault


def prepare(parts: Parts) -> None:
    """Plain SGD at a rate of 5 to 20, clipped."""
    parts.optimizer_options["momentum"] = 0.0
    use_sgd(parts)
    parts.rate = parts.case.pick("high rate", (5.0, 10.0, 20.0)) / SGD_RATIO
    parts.clip = 0.25


def plant(parts: Parts) -> None:
    """No clip."""
    parts.clip = None


FAULT = fault(
    __name__,
    __doc__,
    cause="missing-grad-clip",
    also=("lr-too-high",),
    on=("lstm",),
    plant=plant,
    prepare=prepare,
)
