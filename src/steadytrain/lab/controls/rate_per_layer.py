"""Fine-tuning with a rate that halves from layer to layer towards the input.

## What it looks like
Updates at the input are a hundredth of those at the output.

## Why it is healthy
Lower layers are to stay near what they have learned before.

## Source
Howard and Ruder 2018 (ULMFiT), section 3.2; Clark et al. 2020 (ELECTRA).
"""

from __future__ import annotations

from typing import Any

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.planting import control
from steadytrain.lab.zoo.pretraining import pretrain

DECAY = 0.5


def make(parts: Parts) -> None:
    """One group per layer, after some training."""
    pretrain(parts, steps=40)
    layers: dict[str, list[Any]] = {}
    for name, weight in parts.model.named_parameters():
        layers.setdefault(name.rpartition(".")[0], []).append(weight)
    groups = [
        {"params": own, "lr": parts.rate * DECAY ** min(7, place)}
        for place, own in enumerate(reversed(layers.values()))
    ]
    parts.make_optimizer = lambda own: own.optimizer(groups)


CONTROL = control(__name__, __doc__, on=("mlp", "cnn", "vit"), make=make)
