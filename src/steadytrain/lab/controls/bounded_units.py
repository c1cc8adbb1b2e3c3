"""Networks of tanh, three layers deep, initialised for it.

## What it looks like
Some units stand at the ends of their range on many inputs.

## Why it is healthy
Between them enough are in the middle: the loss falls.

## Source
Glorot and Bengio 2010.
"""

from __future__ import annotations

from torch import nn

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.planting import control
from steadytrain.lab.zoo.pretraining import seeded


def make(parts: Parts) -> None:
    """Every activation becomes tanh, every weight Xavier's."""
    with seeded(parts.case, "xavier"):
        for module in list(parts.model.modules()):
            for name, child in list(module.named_children()):
                if isinstance(child, nn.ReLU):
                    setattr(module, name, nn.Tanh())
                elif isinstance(child, nn.Linear):
                    nn.init.xavier_normal_(child.weight, gain=5 / 3)


CONTROL = control(__name__, __doc__, on=("mlp", "tabular", "vae", "cnn"), make=make)
