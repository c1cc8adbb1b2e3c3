"""A deep stack whose layers each multiply the signal by two to three.

## What is wrong
The gain is compounded over depth: activations grow by ten thousand towards the output and
gradients by as much towards the input.

## Remedy
The activation's own gain in the weights (He for ReLU), or normalisation.

## Source
Hanin 2018, "Which neural net architectures give rise to exploding and vanishing gradients?".
"""

from __future__ import annotations

import torch
from torch import nn

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.planting import fault
from steadytrain.lab.zoo.stacks import drawn_from, linears, stack


def _depth(parts: Parts) -> int:
    return parts.case.pick("layers", (10, 12, 14))


def prepare(parts: Parts) -> None:
    """A plain ReLU stack, He-initialised."""
    parts.model = stack(parts, _depth(parts), nn.ReLU)
    with drawn_from(parts.case, "He"):
        for _, layer in linears(parts.model):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)


def plant(parts: Parts) -> None:
    """Every hidden layer has its gain on top."""
    gain = parts.case.pick("gain", (2.5, 3.0))
    with torch.no_grad():
        for _, layer in linears(parts.model)[1:-1]:
            layer.weight *= gain


def sites(parts: Parts) -> tuple[str, ...]:
    """The layers that multiply."""
    return tuple(str(place) for place in range(2, 2 + _depth(parts)))


FAULT = fault(
    __name__,
    __doc__,
    cause="exploding-gradient",
    also=("init-too-large", "missing-norm"),
    on=("mlp", "tabular"),
    prepare=prepare,
    plant=plant,
    sites=sites,
)
