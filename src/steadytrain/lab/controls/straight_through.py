"""Weights are rounded to sixteen levels in the forward pass; gradients pass straight through.

## What it looks like
The loss is noisy: a tiny move of a weight can jump to the next level, or change nothing.

## Why it is healthy
The full-precision weights behind it gather the moves.

## Source
Bengio, Leonard, Courville 2013; Jacob et al. 2018 (quantisation-aware training).
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.utils import parametrize

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.planting import control

LEVELS = 7
"""On each side of zero."""


class Rounded(nn.Module):
    """The nearest level of a weight; its gradient is that of the weight itself."""

    def forward(self, weight: Tensor) -> Tensor:
        scale = weight.detach().abs().max() / LEVELS
        return weight + ((weight / scale).round() * scale - weight).detach()


def make(parts: Parts) -> None:
    """Every linear and convolutional weight is rounded."""
    for module in list(parts.model.modules()):
        if isinstance(module, nn.Linear | nn.Conv2d):
            parametrize.register_parametrization(module, "weight", Rounded())


CONTROL = control(__name__, __doc__, on=("mlp", "cnn", "vit"), make=make)
