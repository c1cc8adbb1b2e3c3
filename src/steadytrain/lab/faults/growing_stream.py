"""A deep residual network whose branches each add as much as the stream already holds.

## What is wrong
The stream is multiplied at every layer, nothing normalises it, and the output layer reads
numbers that are hundreds of times too large.

## Remedy
Begin the branches at 1 / sqrt(2 * depth) of their size or at zero, or normalise what they read.

## Source
Zhang et al. 2019 (Fixup); Radford et al. 2019 on scaling residual branches with depth.
"""

from __future__ import annotations

import torch
from torch import nn

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.planting import fault
from steadytrain.lab.zoo.stacks import drawn_from, linears, stack


def _depth(parts: Parts) -> int:
    return parts.case.pick("layers", (14, 18, 22))


def prepare(parts: Parts) -> None:
    """Residual layers without a norm, whose branches shrink with depth."""
    depth = _depth(parts)
    parts.model = stack(parts, depth, nn.ReLU, has_shortcut=True)
    with drawn_from(parts.case, "He"):
        for _, layer in linears(parts.model):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)
    with torch.no_grad():
        for _, layer in linears(parts.model)[1:-1]:
            layer.weight *= (2 * depth) ** -0.5


def plant(parts: Parts) -> None:
    """The branches at their full size."""
    with torch.no_grad():
        for _, layer in linears(parts.model)[1:-1]:
            layer.weight *= (2 * _depth(parts)) ** 0.5


def sites(parts: Parts) -> tuple[str, ...]:
    """The layers that add to the stream."""
    return tuple(str(place) for place in range(2, 2 + _depth(parts)))


FAULT = fault(
    __name__,
    __doc__,
    cause="residual-growth",
    also=("init-too-large", "missing-norm", "exploding-gradient"),
    on=("mlp", "tabular"),
    prepare=prepare,
    plant=plant,
    sites=sites,
)
