"""A trained network of which only the head is tuned.

## What it looks like
Most parameters have no gradient and stand still.

## Why it is healthy
They were frozen with `requires_grad_(False)`: that is how one says it on purpose.

## Source
Linear probing: Alain and Bengio 2016.
"""

from __future__ import annotations

from typing import Any

from torch import nn

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.planting import control
from steadytrain.lab.zoo.pretraining import pretrain, seeded


def make(parts: Parts) -> None:
    """After some training everything but a new head is frozen."""
    pretrain(parts)
    parts.model.requires_grad_(False)
    model: Any = parts.model
    head: Any = model[-1] if isinstance(model, nn.Sequential) else model.head
    head.requires_grad_(True)
    with seeded(parts.case, "head"):
        head.reset_parameters()
    parts.make_optimizer = lambda own: own.optimizer(head.parameters())


CONTROL = control(__name__, __doc__, on=("mlp", "cnn", "vit", "lstm", "gpt"), make=make)
