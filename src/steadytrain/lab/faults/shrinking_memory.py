"""A recurrent matrix whose spectral radius is well below one.

## What is wrong
The state loses half or more of what it holds at every step of time: after a dozen steps nothing
of the first symbol is left, nor of the gradient on the way back to it.

## Remedy
An orthogonal recurrent matrix, or an LSTM or GRU.

## Source
Pascanu, Mikolov, Bengio 2013; Le, Jaitly, Hinton 2015.
"""

from __future__ import annotations

from typing import Any

import torch

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.planting import fault
from steadytrain.lab.zoo.recall import recall


def plant(parts: Parts) -> None:
    """The orthogonal matrix times the radius."""
    model: Any = parts.model
    with torch.no_grad():
        model.cell.weight_hh_l0 *= parts.case.pick("radius", (0.1, 0.2, 0.3))


FAULT = fault(
    __name__,
    __doc__,
    cause="recurrent-spectral-radius",
    also=("vanishing-gradient", "init-too-small"),
    on=("lstm",),
    prepare=recall,
    plant=plant,
    sites=lambda _: ("cell",),
)
