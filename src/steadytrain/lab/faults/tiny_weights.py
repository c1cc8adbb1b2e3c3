"""Every weight of a deep ReLU network is drawn from N(0, 0.001) or smaller.

## What is wrong
Each layer leaves a hundredth of the signal and of the gradient, so that the output is the last
bias and nothing reaches the first layers.

## Remedy
Scale the weights by the layer's fan-in: He et al. 2015 for ReLU.

## Source
He et al. 2015; people's own N(0, 0.01) on networks that have grown deeper.
"""

from __future__ import annotations

from torch import nn

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.planting import fault
from steadytrain.lab.zoo.stacks import drawn_from, linears, stack


def prepare(parts: Parts) -> None:
    """A plain stack of eight to twelve layers, He-initialised."""
    parts.model = stack(parts, parts.case.pick("layers", (8, 10, 12)), nn.ReLU)
    with drawn_from(parts.case, "He"):
        for _, layer in linears(parts.model):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)


def plant(parts: Parts) -> None:
    """The same network with weights that know nothing of its size."""
    deviation = parts.case.pick("deviation", (1e-3, 3e-4))
    with drawn_from(parts.case, "tiny"):
        for _, layer in linears(parts.model):
            nn.init.normal_(layer.weight, std=deviation)


FAULT = fault(
    __name__,
    __doc__,
    cause="init-too-small",
    also=("vanishing-gradient",),
    on=("mlp", "tabular"),
    prepare=prepare,
    plant=plant,
)
