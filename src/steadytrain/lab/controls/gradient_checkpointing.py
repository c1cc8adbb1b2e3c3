"""Blocks are run again in the backward pass instead of being remembered.

## What it looks like
A forward pass happens inside the backward pass.

## Why it is healthy
It gives the same numbers and saves memory.

## Source
Chen et al. 2016, Training deep nets with sublinear memory cost.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.planting import control


class Checkpointed(nn.Module):
    """The block, recomputed in the backward pass."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block = block

    def forward(self, x: Tensor) -> Tensor:
        if not torch.is_grad_enabled():
            return self.block(x)
        y: Any = checkpoint(self.block, x, use_reentrant=False)
        return y


def make(parts: Parts) -> None:
    """Every block, or every linear layer of the MLP, is checkpointed."""
    model: Any = parts.model
    if isinstance(model, nn.Sequential):
        for place, layer in enumerate(model):
            if isinstance(layer, nn.Linear):
                model[place] = Checkpointed(layer)
    else:
        model.blocks = nn.Sequential(*(Checkpointed(block) for block in model.blocks))


CONTROL = control(__name__, __doc__, on=("mlp", "gpt", "vit"), make=make)
