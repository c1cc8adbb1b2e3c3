"""A hinge loss on classes that can be told apart: in the end it is zero, and so is every gradient.

## What it looks like
The loss and all gradients become exactly zero, batch after batch, and nothing moves any more.

## Why it is healthy
Every sample is on its side of the margin: there is nothing left to learn.

## Source
Cortes and Vapnik 1995, Support-vector networks.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.planting import control
from steadytrain.lab.zoo.regressions import Batch

GAP = 1.5
"""Distance of both classes from the plane between them, in deviations of a feature."""


def _loss(model: nn.Module, batch: Batch) -> Tensor:
    return functional.relu(1 - model(batch[0]) * batch[1]).mean()


def _share_right(model: nn.Module, batch: Batch) -> float:
    with torch.no_grad():
        return float((model(batch[0]) * batch[1] > 0).float().mean())


def _apart(batch: Batch) -> Batch:
    """The same rows with a class each, moved apart along the first feature."""
    features = batch[0].clone()
    side = features[:, :1].sign()
    features[:, :1] += GAP * side
    return features, side


def make(parts: Parts) -> None:
    """Two classes with a gap between them."""
    parts.batches = [_apart(batch) for batch in parts.batches]
    parts.validation = _apart(parts.validation)
    parts.loss_fn, parts.metric_fn = _loss, _share_right


CONTROL = control(__name__, __doc__, on=("tabular",), make=make, steps=300)
