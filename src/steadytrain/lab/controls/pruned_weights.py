"""Nine of ten weights are zero and stay zero: a pruned network that is trained on.

## What it looks like
Most elements of every matrix and of its gradient are exactly zero, from the first step on.

## Why it is healthy
They were removed on purpose; the rest learns.

## Source
Frankle and Carbin 2019, The lottery ticket hypothesis.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.utils.parametrize import register_parametrization

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.planting import control
from steadytrain.lab.zoo.pretraining import pretrain
from steadytrain.lab.zoo.stacks import linears

PRUNED = 0.9


class Kept(nn.Module):
    """The largest weights of a matrix as they are, zero in place of the others."""

    mask: Tensor

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        cut = weight.abs().flatten().kthvalue(int(PRUNED * weight.numel())).values
        self.register_buffer("mask", (weight.abs() > cut).to(weight.dtype))

    def forward(self, weight: Tensor) -> Tensor:
        return weight * self.mask


def make(parts: Parts) -> None:
    """A trained network without the smallest of its hidden weights."""
    pretrain(parts, steps=60)
    for _, layer in linears(parts.model)[:-1]:
        register_parametrization(layer, "weight", Kept(layer.weight.detach()))


CONTROL = control(__name__, __doc__, on=("mlp", "tabular"), make=make)
