"""The output layer begins thirty to a hundred times too large.

## What is wrong
The first outputs are certain and wrong: the loss begins far above that of a guess, and the
gradients of the layers before the head are as much too large.

## Remedy
Begin the output layer small, or at zero.

## Source
Karpathy 2019, "A Recipe for Training Neural Networks": verify the loss at initialisation.
"""

from __future__ import annotations

import torch

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.planting import fault
from steadytrain.lab.zoo.stacks import linears


def plant(parts: Parts) -> None:
    """The last linear layer's weights are multiplied."""
    _, head = linears(parts.model)[-1]
    with torch.no_grad():
        head.weight *= parts.case.pick("factor", (30.0, 60.0, 100.0))


def sites(parts: Parts) -> tuple[str, ...]:
    """The last linear layer."""
    return (linears(parts.model)[-1][0],)


FAULT = fault(
    __name__,
    __doc__,
    cause="init-too-large",
    on=("mlp", "cnn", "tabular", "resnet"),
    plant=plant,
    sites=sites,
)
