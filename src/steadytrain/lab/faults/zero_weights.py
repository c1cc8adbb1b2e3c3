"""All weights begin at zero.

## What is wrong
No layer passes anything on, neither the signal nor the gradient: only the last bias learns.

## Remedy
Draw the weights at random; zeros are for biases, and for the last layer of a residual branch.

## Source
A beginner's initialisation, and that of a checkpoint whose keys did not match.
"""

from __future__ import annotations

from torch import nn

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.planting import fault
from steadytrain.lab.zoo.stacks import paths_of

_KINDS = (nn.Linear, nn.Conv2d)


def plant(parts: Parts) -> None:
    """Every matrix and bias is zero."""
    for path in paths_of(parts.model, *_KINDS):
        for weight in parts.model.get_submodule(path).parameters():
            nn.init.zeros_(weight)


def sites(parts: Parts) -> tuple[str, ...]:
    """Every layer, and the units behind it: none of them passes a gradient on."""
    return paths_of(parts.model, *_KINDS, nn.ReLU)


FAULT = fault(
    __name__,
    __doc__,
    cause="symmetric-init",
    also=("init-too-small",),
    on=("mlp", "cnn", "tabular"),
    plant=plant,
    sites=sites,
)
