"""A linear warm-up over a third of the run.

## What it looks like
For dozens of steps the loss stands still, and updates are a thousandth of the weights' usual ones.

## Why it is healthy
The rate is still on its way.

## Source
Goyal et al. 2017; Vaswani et al. 2017, section 5.3.
"""

from __future__ import annotations

from torch.optim.lr_scheduler import LambdaLR

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.planting import control

STEPS = 240


def make(parts: Parts) -> None:
    """From nearly nothing to the full rate, which is then kept."""
    parts.make_scheduler = lambda optimizer: LambdaLR(
        optimizer, lambda step: min(1.0, (step + 1) / (STEPS // 3))
    )


CONTROL = control(__name__, __doc__, on=("mlp", "gpt", "vit", "cnn"), make=make, steps=STEPS)
