"""Only the biases of a trained network are tuned.

## What it looks like
No matrix moves; nearly all parameters are frozen.

## Why it is healthy
They are frozen with `requires_grad_(False)`; biases alone bend the network to the task.

## Source
Ben Zaken et al. 2022 (BitFit).
"""

from __future__ import annotations

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.planting import control
from steadytrain.lab.zoo.pretraining import pretrain


def make(parts: Parts) -> None:
    """After some training only vectors called bias learn."""
    pretrain(parts, steps=40)
    biases = [p for name, p in parts.model.named_parameters() if name.endswith("bias")]
    parts.model.requires_grad_(False)
    for bias in biases:
        bias.requires_grad_(True)
    parts.make_optimizer = lambda own: own.optimizer(biases)
    parts.rate *= 2


CONTROL = control(__name__, __doc__, on=("mlp", "gpt", "vit"), make=make)
