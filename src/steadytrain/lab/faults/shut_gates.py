"""The input gates of an LSTM begin shut.

## What is wrong
A bias of minus eight or less holds the gates at the end of their range: nothing enters the cell,
and the gates have no slope to open by.

## Remedy
Input and output gates at a bias of zero, forget gates at one.

## Source
Gers, Schmidhuber, Cummins 2000; Jozefowicz et al. 2015 on the biases of gates.
"""

from __future__ import annotations

from typing import Any

import torch

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.planting import fault


def plant(parts: Parts) -> None:
    """The input gates' quarter of every bias."""
    model: Any = parts.model
    bias = parts.case.pick("gate bias", (-8.0, -12.0, -16.0))
    with torch.no_grad():
        for name, value in model.cell.named_parameters():
            if name.startswith("bias_ih"):
                value[: model.cell.hidden_size] = bias


FAULT = fault(
    __name__,
    __doc__,
    cause="saturated-activation",
    on=("lstm",),
    plant=plant,
    sites=lambda _: ("cell",),
)
