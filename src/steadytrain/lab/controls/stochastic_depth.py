"""Stochastic depth: on every step other blocks are left out.

## What it looks like
Whole blocks have no gradient on a step, and one on the next.

## Why it is healthy
Each block takes part in most steps, and all do in evaluation.

## Source
Huang et al. 2016, Deep networks with stochastic depth.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.planting import control

RATE = 0.2


class MaybeSkipped(nn.Module):
    """The block, or in training at times its input. Shape: as the block's, which keeps it."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block = block

    def forward(self, x: Tensor) -> Tensor:
        return x if self.training and torch.rand(()) < RATE else self.block(x)


def make(parts: Parts) -> None:
    """A fifth of the blocks is skipped on every step."""
    model: Any = parts.model
    if parts.case.architecture == "resnet":
        for place, block in enumerate(model):
            if type(block).__name__ == "BasicBlock":
                model[place] = MaybeSkipped(block)
    else:
        model.blocks = nn.Sequential(*(MaybeSkipped(block) for block in model.blocks))


CONTROL = control(__name__, __doc__, on=("resnet", "vit", "gpt"), make=make)
