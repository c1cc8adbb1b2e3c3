"""A recurrent matrix whose spectral radius is far above one.

## What is wrong
The state of a ReLU network is multiplied at every step of time, and the gradient on its way back:
what came first drowns what came late,
and the first outputs and gradients are thousands of times too large.

## Remedy
The identity as the recurrent matrix, or an LSTM or GRU; clip the gradient.

## Source
Pascanu, Mikolov, Bengio 2013; Le, Jaitly, Hinton 2015 for the identity.
"""

from __future__ import annotations

from typing import Any

import torch

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.planting import fault
from steadytrain.lab.zoo.recall import recall


def prepare(parts: Parts) -> None:
    """A ReLU network that keeps its state: the recurrent matrix is the identity."""
    recall(parts, "relu", place=8)


def plant(parts: Parts) -> None:
    """The identity times the radius."""
    model: Any = parts.model
    with torch.no_grad():
        model.cell.weight_hh_l0 *= parts.case.pick("radius", (2.0, 2.5, 3.0))


FAULT = fault(
    __name__,
    __doc__,
    cause="recurrent-spectral-radius",
    also=("exploding-gradient", "init-too-large"),
    on=("lstm",),
    prepare=prepare,
    plant=plant,
    sites=lambda _: ("cell",),
)
