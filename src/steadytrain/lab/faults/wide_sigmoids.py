"""A bounded activation whose inputs are tens: every unit stands at an end of its range.

## What is wrong
The weights are drawn from N(0, 5): the slope of a sigmoid or tanh is zero where its units stand,
so that what lies before them gets no gradient.

## Remedy
Xavier's weights for bounded activations; normalise what they read.

## Source
Glorot and Bengio 2010, section 3 on saturation.
"""

from __future__ import annotations

from torch import nn

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.planting import fault
from steadytrain.lab.zoo.stacks import drawn_from, linears, paths_of, swap


def prepare(parts: Parts) -> None:
    """The same network with sigmoids or tanh, and the weights for it: a sigmoid's slope is 1/4."""
    kind, gain = parts.case.pick("bounded activation", ((nn.Sigmoid, 4.0), (nn.Tanh, 5 / 3)))
    swap(parts.model, nn.ReLU, lambda _: kind())
    with drawn_from(parts.case, "Xavier"):
        for _, layer in linears(parts.model):
            nn.init.xavier_normal_(layer.weight, gain=gain)


def plant(parts: Parts) -> None:
    """Hidden weights of N(0, 5)."""
    with drawn_from(parts.case, "wide"):
        for _, layer in linears(parts.model)[:-1]:
            nn.init.normal_(layer.weight, std=5.0)


def sites(parts: Parts) -> tuple[str, ...]:
    """The activations, and the layers that feed them."""
    feeding = tuple(path for path, _ in linears(parts.model)[:-1])
    return (*paths_of(parts.model, nn.Sigmoid, nn.Tanh), *feeding)


FAULT = fault(
    __name__,
    __doc__,
    cause="saturated-activation",
    also=("init-too-large",),
    on=("mlp", "tabular"),
    prepare=prepare,
    plant=plant,
    sites=sites,
)
