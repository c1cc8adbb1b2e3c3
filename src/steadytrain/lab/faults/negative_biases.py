"""One layer's biases begin so far below zero that its ReLUs are silent on every input.

## What is wrong
No unit of the layer passes a signal or a gradient: what lies before it never learns.

## Remedy
Biases begin at zero.

## Source
TheDeepChecker's planted faults (Braiek and Khomh 2022): dead ReLUs through the bias.
"""

from __future__ import annotations

from torch import nn

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.planting import fault
from steadytrain.lab.zoo.stacks import paths_of

_KINDS = (nn.Linear, nn.BatchNorm2d)


def _layer(parts: Parts) -> str:
    """The layer whose biases are moved: any before a ReLU."""
    named = [path for path, _ in parts.model.named_modules()]
    relus = set(paths_of(parts.model, nn.ReLU))
    feeding = [
        path
        for path in paths_of(parts.model, *_KINDS)
        if named.index(path) + 1 < len(named) and named[named.index(path) + 1] in relus
    ]
    return parts.case.pick("silent layer", feeding)


def plant(parts: Parts) -> None:
    """The biases of that layer."""
    bias = parts.case.pick("bias", (-10.0, -20.0))
    for name, value in parts.model.get_submodule(_layer(parts)).named_parameters():
        if name == "bias":
            nn.init.constant_(value, bias)


def sites(parts: Parts) -> tuple[str, ...]:
    """The layer and the activation behind it."""
    named = [path for path, _ in parts.model.named_modules()]
    layer = _layer(parts)
    return (layer, named[named.index(layer) + 1])


FAULT = fault(
    __name__,
    __doc__,
    cause="dying-relu",
    on=("mlp", "tabular", "cnn"),
    plant=plant,
    sites=sites,
)
