"""Of every layer's units only the strongest eighth may speak, by design.

## What it looks like
Seven of eight outputs are exactly zero, and so are the gradients behind them.

## Why it is healthy
Other inputs wake other units: each has its turn.

## Source
Makhzani and Frey 2015, Winner-take-all autoencoders; Ahmad and Scheinkman 2019.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.planting import control
from steadytrain.lab.zoo.stacks import swap

SHARE = 8
"""One unit in so many speaks."""


class Winners(nn.Module):
    """The largest inputs of a row as they are, zero in place of the others."""

    def forward(self, x: Tensor) -> Tensor:
        places = x.topk(max(1, x.shape[-1] // SHARE), dim=-1).indices
        return x * torch.zeros_like(x).scatter(-1, places, 1.0)


def make(parts: Parts) -> None:
    """The winners in place of ReLU."""
    swap(parts.model, nn.ReLU, lambda _: Winners())


CONTROL = control(__name__, __doc__, on=("mlp",), make=make, steps=300)
