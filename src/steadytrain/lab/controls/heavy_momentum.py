"""Plain gradient descent with a momentum of 0.95.

## What it looks like
The loss overshoots in its first dozens of steps.

## Why it is healthy
The rate is small for it: over the run the loss falls.

## Source
Sutskever et al. 2013, On the importance of initialization and momentum in deep learning.
"""

from __future__ import annotations

import torch

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.planting import control


def make(parts: Parts) -> None:
    """Ten times Adam's rate, which with this momentum is two hundred times."""
    parts.make_optimizer = lambda own: torch.optim.SGD(
        own.model.parameters(), lr=10 * own.rate, momentum=0.95
    )


CONTROL = control(__name__, __doc__, on=("mlp", "cnn", "tabular", "resnet"), make=make)
