"""One body, two tasks, a head for each: every step serves one of them.

## What it looks like
Each head has no gradient on every other step, and the loss jumps between two levels.

## Why it is healthy
Both heads learn on their own steps, the body on all.

## Source
Caruana 1997, Multitask learning; round-robin sampling of tasks.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.images import Batch
from steadytrain.lab.zoo.planting import control
from steadytrain.lab.zoo.pretraining import seeded
from steadytrain.lab.zoo.stacks import linears


class TwoHeads(nn.Module):
    """Class of a picture from one head, its brightness from the other."""

    def __init__(self, body: nn.Sequential, width: int, classes: int) -> None:
        super().__init__()
        self.body = body
        self.classes, self.brightness = nn.Linear(width, classes), nn.Linear(width, 1)

    def forward(self, pictures: Tensor) -> Tensor:
        return self.classes(self.body(pictures))


def _loss(model: Any, batch: tuple[str, Batch]) -> Tensor:
    task, (pictures, labels) = batch
    if task == "classes":
        return functional.cross_entropy(model(pictures), labels)
    bright = model.brightness(model.body(pictures))
    return functional.mse_loss(bright, 10 * pictures.flatten(1).mean(dim=1, keepdim=True))


def make(parts: Parts) -> None:
    """The batches alternate between the tasks."""
    assert isinstance(parts.model, nn.Sequential)
    last = linears(parts.model)[-1][1]
    with seeded(parts.case, "heads"), torch.no_grad():
        parts.model = TwoHeads(
            nn.Sequential(*list(parts.model)[:-1]), last.in_features, last.out_features
        )
    tasks = ("classes", "brightness")
    parts.batches = [(tasks[place % 2], batch) for place, batch in enumerate(parts.batches)]
    parts.loss_fn = _loss


CONTROL = control(__name__, __doc__, on=("mlp", "cnn"), make=make)
