"""A classifier that also predicts the brightness and keeps its outputs small: three losses.

## What it looks like
One term falls fast, one hardly, one rises while the sum falls.

## Why it is healthy
The sum is what is minimised; the terms share the outputs.

## Source
Caruana 1997, Multitask learning.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.images import Batch
from steadytrain.lab.zoo.planting import control


def _loss(model: nn.Module, batch: Batch) -> Tensor:
    inputs, labels = batch
    logits = model(inputs)
    brightness = functional.mse_loss(logits.mean(dim=-1), inputs.flatten(1).mean(dim=-1))
    small = 1e-3 * logits.logsumexp(dim=-1).square().mean()
    return functional.cross_entropy(logits, labels) + brightness + small


def make(parts: Parts) -> None:
    """Three terms of different scale."""
    parts.loss_fn = _loss


CONTROL = control(__name__, __doc__, on=("mlp", "cnn", "vit", "resnet"), make=make)
