"""Two noisy views of each picture must find each other in the batch: the loss falls slowly.

## What it looks like
The loss begins at the logarithm of the batch's size and leaves it by little per step.

## Why it is healthy
Each step has a new puzzle of the same size; the embedding gets better all the same.

## Source
van den Oord et al. 2018 (InfoNCE); Chen et al. 2020 (SimCLR).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.images import Batch
from steadytrain.lab.zoo.planting import control

NOISE = 1.0
TEMPERATURE = 0.5


def _loss(model: nn.Module, batch: Batch) -> Tensor:
    pictures = batch[0]
    left, right = (
        functional.normalize(model(pictures + NOISE * torch.randn_like(pictures)), dim=1)
        for _ in range(2)
    )
    return functional.cross_entropy(left @ right.T / TEMPERATURE, torch.arange(len(left)))


def make(parts: Parts) -> None:
    """The classifier's outputs are the embedding; the rate is a third."""
    parts.loss_fn, parts.metric_fn = _loss, None
    parts.rate /= 3


CONTROL = control(__name__, __doc__, on=("mlp", "cnn"), make=make, steps=300)
