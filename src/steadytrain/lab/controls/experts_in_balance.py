"""A text model with routed experts and a term that keeps them in balance.

## What it looks like
On a step some experts are not taken by any token, and have no gradient.

## Why it is healthy
Over the steps all of them are taken.

## Source
Fedus, Zoph, Shazeer 2021, Switch Transformers, section 2.2.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.experts import Experts, imbalance
from steadytrain.lab.zoo.layers import Residual
from steadytrain.lab.zoo.planting import control
from steadytrain.lab.zoo.pretraining import seeded
from steadytrain.lab.zoo.sequences import next_character

WEIGHT = 0.01


def _loss(model: nn.Module, batch: Tensor) -> Tensor:
    return next_character(model, batch) + WEIGHT * imbalance(model)


def make(parts: Parts) -> None:
    """Every feed-forward layer becomes one of experts."""
    model: Any = parts.model
    width = model.token.embedding_dim
    with seeded(parts.case, "experts"):
        for place in range(1, len(model.blocks), 2):
            model.blocks[place] = Residual(Experts(width, 2 * width))
    parts.loss_fn = _loss


CONTROL = control(__name__, __doc__, on=("gpt",), make=make)
