"""Smoothed labels: the loss ends high because it cannot end low.

## What it looks like
The loss flattens far above zero, near half of where it began.

## Why it is healthy
The entropy of the smoothed labels is its floor.

## Source
Szegedy et al. 2016, section 7.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.images import Batch
from steadytrain.lab.zoo.planting import control

SMOOTHING = 0.3


def _loss(model: nn.Module, batch: Batch) -> Tensor:
    return functional.cross_entropy(model(batch[0]), batch[1], label_smoothing=SMOOTHING)


def make(parts: Parts) -> None:
    """Three tenths of every label are spread over the classes."""
    parts.loss_fn = _loss


CONTROL = control(__name__, __doc__, on=("mlp", "cnn", "vit", "resnet"), make=make)
